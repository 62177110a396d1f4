// `flatline export | import | apply`: a project's checks as a YAML file, and back.

import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import type { AppliedCheck, ApplyAnswer } from '../checks/definitions/applying.ts'
import { readChecks } from './definition-file.ts'
import { CommandError } from './errors.ts'
import { importHealthchecks } from './healthchecks.ts'
import { replaceFile } from './new-file.ts'
import { connect, type Server, serverOptions, serverUsage } from './server.ts'

export const definitionsUsage = `  export       print the checks of a project as YAML
  import       make and change checks as a YAML FILE says (- for standard input); import healthchecks --url URL --api-key KEY copies the
               checks of a Healthchecks project, with their ping addresses
  apply        the same as import FILE, for files that are kept; --dry-run only says what it would do, --prune deletes other checks`

const exportUsage = `usage: flatline export [options]

  --output FILE     write to a file instead of standard output
  --no-uuids        leave out uuids and badge keys, for a file that others may see or that makes new checks elsewhere
${serverUsage}
`

const applyUsage = `usage: flatline import FILE [options]
       flatline apply FILE [options]
       flatline import healthchecks --url URL --api-key KEY [options]

  --dry-run         say what would be done, and do nothing
  --prune           delete checks that the file does not name (apply only)
${serverUsage}
`

const textFields = ['uuid', 'badge_key'] as const
const heading = `# Checks of a Flatline project. \`flatline apply FILE\` applies them: a field that is not listed gets its default; channels, paused and
# paused_until are left as they are where they are not here. A uuid is the address that heartbeats go to: keep it to yourself.
`

export async function exportDefinitions(args: readonly string[]): Promise<void> {
  const { values } = readArgs(args, exportUsage, {
    ...serverOptions,
    output: { type: 'string' },
    'no-uuids': { type: 'boolean' },
  })
  const answer = (await connect(values).get('/api/v3/definitions/')) as { checks: Record<string, unknown>[] }
  const checks = values['no-uuids'] ? withoutUuids(answer.checks) : answer.checks
  const text = heading + stringify({ checks }, { lineWidth: 0 })
  if (values.output === undefined) process.stdout.write(text)
  else replaceFile(values.output, text)
}

export async function importDefinitions(args: readonly string[]): Promise<void> {
  if (args[0] === 'healthchecks') return importHealthchecks(args.slice(1), report)
  await send(args, false)
}

export async function applyDefinitions(args: readonly string[]): Promise<void> {
  await send(args, true)
}

async function send(args: readonly string[], canPrune: boolean): Promise<void> {
  const { values, positionals } = readArgs(args, applyUsage, {
    ...serverOptions,
    'dry-run': { type: 'boolean' },
    ...(canPrune && { prune: { type: 'boolean' } }),
  })
  const [file] = positionals
  if (file === undefined || positionals.length > 1) throw new CommandError(applyUsage)
  const prune = (values as { prune?: boolean }).prune ?? false
  report(await post(connect(values), { checks: readChecks(file), dry_run: values['dry-run'] ?? false, prune }), prune)
}

async function post(server: Server, body: object): Promise<ApplyAnswer> {
  return (await server.post('/api/v3/definitions/', body)) as ApplyAnswer
}

/** In the file, parents are named by slug or name. */
function withoutUuids(checks: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  const names = new Map(checks.map(({ uuid, slug, name }) => [uuid, slug || name]))
  return checks.map((check) => {
    const kept = Object.entries(check).filter(([field]) => !textFields.includes(field as (typeof textFields)[number]))
    return { ...Object.fromEntries(kept), ...(check.parent !== undefined && { parent: names.get(check.parent) }) }
  })
}

/** Prints one line for each check that changed, and the counts; exit status 1 if any check was refused. */
export function report(applied: ApplyAnswer, wantedPrune = false): void {
  for (const result of applied.results) if (result.action !== 'unchanged') process.stdout.write(lineOf(result))
  const counts = Object.entries(applied.summary).map(([action, count]) => `${count} ${action}`)
  process.stdout.write(`${counts.join(', ')}${applied.dry_run ? ' (dry run: nothing was changed)' : ''}\n`)
  if (wantedPrune && !applied.pruned)
    process.stderr.write(
      'nothing was pruned, because a refused check may be one of those that the file does not name\n',
    )
  if (applied.summary.failed > 0) process.exitCode = 1
}

function lineOf({ action, name, uuid, index, changes, error }: AppliedCheck): string {
  const who = [name || '(no name)', uuid].filter(Boolean).join(' ')
  if (action === 'failed') return `failed     checks[${index}] ${who}: ${error}\n`
  const what = action === 'updated' ? `: ${Object.keys(changes?.after ?? {}).join(', ')}` : ''
  return `${action.padEnd(10)} ${who}${what}\n`
}

type DefinitionOptions = NonNullable<Parameters<typeof parseArgs>[0]>['options']

export function readArgs<const T extends DefinitionOptions>(args: readonly string[], usage: string, options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw new CommandError(`${(error as Error).message}\n\n${usage}`)
  }
}
