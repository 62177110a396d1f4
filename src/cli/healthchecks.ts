// `flatline import healthchecks`: reads a project of a Healthchecks server through its management API and creates the
// same checks here, with the same uuids, so that jobs only have to change the host. A dump of the server (`manage.py
// dumpdata accounts.project api.check`) contains what the API does not show: the ping key, and the key that signs
// badges.

import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { ApplyAnswer } from '../checks/definitions/applying.ts'
import { wireFields } from '../checks/fields/fields.ts'
import { CommandError, ServerRefusal } from './errors.ts'
import { inputMaxBytes, readInput } from './input.ts'
import { connect, createServerClient, keyFromFile, type Server, serverOptions, serverUsage } from './server.ts'

const usage = `usage: flatline import healthchecks --url URL --api-key KEY [options]

  --url URL                 the Healthchecks server
  --api-key KEY             a read-write key of the project there; --api-key-file FILE reads it from a file
  --dump FILE               JSON of "manage.py dumpdata accounts.project api.check": brings the ping key and the badge key
  --secret-key-file FILE    SECRET_KEY of that server: with the dump, badges of tags keep their addresses
  --dry-run                 say what would be done, and do nothing
${serverUsage}
`

const options = {
  ...serverOptions,
  url: { type: 'string' },
  'api-key': { type: 'string' },
  'api-key-file': { type: 'string' },
  dump: { type: 'string' },
  'secret-key-file': { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const

type HealthchecksCheck = Record<string, unknown>
type HealthchecksChannel = { id: string; name: string; kind: string }

/** Fields with the same meaning in Healthchecks and in Flatline. */
const sameFields = wireFields.filter(({ isOurs }) => !isOurs).map(({ name }) => name)

export async function importHealthchecks(
  args: readonly string[],
  report: (applied: ApplyAnswer) => void,
): Promise<void> {
  const values = readOptions(args)
  const key = values['api-key'] ?? keyFromFile(values['api-key-file'])
  if (values.url === undefined || key === undefined) throw new CommandError(usage)
  const { checks, channels } = await readProject(createServerClient(values.url, key))
  const keys = values.dump === undefined ? null : readDump(values.dump, checks, keyFromFile(values['secret-key-file']))

  const target = connect(values)
  const own = ((await target.get('/api/v3/channels/')) as { channels: HealthchecksChannel[] }).channels.map(
    ({ name }) => name,
  )
  const isKnown = (name: string) => own.filter((other) => other === name).length === 1
  const definitions = checks.map((check) => toDefinition(check, channels, isKnown))
  const dryRun = values['dry-run'] ?? false
  report((await target.post('/api/v3/definitions/', { checks: definitions, dry_run: dryRun })) as ApplyAnswer)
  if (keys && !dryRun) await adoptKeys(target, keys)
  printMissingChannels(channels, isKnown)
}

function readOptions(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new CommandError(`${(error as Error).message}\n\n${usage}`)
  }
}

/** Older servers know only older versions. */
async function readProject(source: Server): Promise<{ checks: HealthchecksCheck[]; channels: HealthchecksChannel[] }> {
  for (const version of [3, 2, 1]) {
    try {
      const { checks } = (await source.get(`/api/v${version}/checks/`)) as { checks?: HealthchecksCheck[] }
      if (!Array.isArray(checks)) throw new CommandError(`${source.url} does not answer like Healthchecks`)
      if (checks.some(({ uuid, ping_url }) => !uuid && !ping_url))
        throw new CommandError('a read-only key cannot read the ping addresses: use the read-write key')
      const { channels } = (await source.get(`/api/v${version}/channels/`)) as { channels: HealthchecksChannel[] }
      return { checks, channels }
    } catch (error) {
      if (!(error instanceof ServerRefusal && error.status === 404 && version > 1)) throw error
    }
  }
  throw new CommandError(`${source.url} does not answer like Healthchecks`)
}

function toDefinition(
  check: HealthchecksCheck,
  channels: readonly HealthchecksChannel[],
  isKnown: (name: string) => boolean,
): HealthchecksCheck {
  const used = String(check.channels ?? '').split(',')
  const names = channels.filter(({ id, name }) => used.includes(id) && isKnown(name)).map(({ name }) => name)
  const badge = /\/b\/\d+\/([0-9a-f-]{36})\./.exec(String(check.badge_url))?.[1]
  return {
    // The oldest servers show it in the ping address only.
    uuid: check.uuid ?? /([0-9a-f-]{36})$/.exec(String(check.ping_url))?.[1],
    ...(badge !== undefined && { badge_key: badge }),
    ...Object.fromEntries(sameFields.flatMap((field) => (check[field] == null ? [] : [[field, check[field]]]))),
    channels: names,
    ...(check.status === 'paused' && { paused: true }),
  }
}

type ImportKeys = { ping_key?: string; badge_key?: string; badge_secret?: string }

function readDump(file: string, checks: readonly HealthchecksCheck[], secretKey: string | undefined): ImportKeys {
  const rows = readRows(file)
  const codes = new Set(checks.map(({ uuid }) => uuid))
  const owners = rows.filter(({ model, fields }) => model === 'api.check' && codes.has(fields.code))
  const projects = rows.filter(({ model }) => model === 'accounts.project')
  const owner = owners[0]?.fields.project
  const project = owner === undefined && projects.length === 1 ? projects[0] : projects.find(({ pk }) => pk === owner)
  if (project === undefined) throw new CommandError(`${file} does not hold the project of these checks`)
  const { ping_key: pingKey, badge_key: badgeKey } = project.fields as { ping_key?: string; badge_key?: string }
  return {
    ...(pingKey && { ping_key: pingKey }),
    ...(badgeKey && { badge_key: badgeKey }),
    // Django keys its HMAC with the hash of the two.
    ...(badgeKey &&
      secretKey && {
        badge_secret: createHash('sha1')
          .update(badgeKey + secretKey)
          .digest('hex'),
      }),
  }
}

function readRows(file: string): { model: string; pk: unknown; fields: Record<string, unknown> }[] {
  const text = readInput(file, inputMaxBytes.dump)
  let rows: unknown
  try {
    rows = JSON.parse(text)
  } catch (error) {
    throw new CommandError(`${file} is not JSON: ${(error as Error).message.slice(0, 200)}`)
  }
  const isRow = (row: unknown) => typeof (row as { fields?: unknown } | null)?.fields === 'object'
  if (Array.isArray(rows) && rows.every(isRow)) return rows
  throw new CommandError(`${file} is not the output of dumpdata`)
}

async function adoptKeys(target: Server, keys: ImportKeys): Promise<void> {
  if (Object.keys(keys).length === 0) return
  const { changed } = (await target.post('/api/v3/keys/adopt/', keys)) as { changed: string[] }
  process.stdout.write(
    changed.length > 0 ? `adopted    ${changed.join(', ')}\n` : 'the keys have already been adopted\n',
  )
}

function printMissingChannels(channels: readonly HealthchecksChannel[], isKnown: (name: string) => boolean): void {
  const missing = channels.filter(({ name }) => !isKnown(name))
  if (missing.length === 0) return
  const names = missing.map(({ name, kind }) => `${name || '(no name)'} (${kind})`).join(', ')
  process.stderr.write(
    `Healthchecks does not export the settings of its integrations. Create channels with these names here and import again to assign them to the checks: ${names}\n`,
  )
}
