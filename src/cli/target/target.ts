// What `load` and `verify` share: a service that is named by its address, and checks of their own that go again.

import type { ApplyAnswer } from '../../checks/definitions/applying.ts'
import type { GivenValues, Options } from '../arguments/options.ts'
import { CommandError, ServerRefusal, UsageError } from '../errors.ts'
import { readList } from '../resources/find.ts'
import { connect, type Server } from '../server.ts'

export const targetOptions: Options = {
  target: { kind: 'text', about: 'address of the service', isRequired: true },
  'key-file': {
    kind: 'text',
    about: "reads a project's read-write key from a file, - for standard input (default: BOOTSTRAP_API_KEY)",
  },
  key: { kind: 'text', about: 'the key; every user of the machine can read it while the command runs' },
  json: { kind: 'flag', about: 'print the report as JSON' },
  help: { kind: 'flag', about: 'this text' },
}

/** Never a default address: what these commands do should happen where it is meant. */
export function openTarget(values: GivenValues, warn: (text: string) => void): Server {
  const url = URL.parse(String(values.target))
  if (url === null || !/^https?:$/.test(url.protocol)) throw new UsageError('--target is not an http or https address')
  if (url.username !== '' || url.search !== '' || url.hash !== '')
    throw new UsageError('--target is an address without user, query and fragment')
  const { key, key_file: file } = values as { key?: string; key_file?: string }
  return connect({ server: url.href, key, 'key-file': file }, 'project', warn)
}

export type OwnCheck = { uuid: string; name: string; pings: number; status: string }

const checks = { path: '/api/v3/checks/', list: 'checks', paged: true }

/** Creates checks without channels, so that nobody is alerted, and with a long timeout. */
export async function createChecks(
  server: Server,
  { tags, names, channels = [] }: { tags: string; names: readonly string[]; channels?: string[] },
): Promise<string[]> {
  const definitions = names.map((name) => ({ name, slug: name, tags, timeout: 86_400, grace: 86_400, channels }))
  const { results } = (await server.post('/api/v3/definitions/', {
    checks: definitions,
    dry_run: false,
    prune: false,
  })) as ApplyAnswer
  const failed = results.find(({ action }) => action === 'failed')
  if (failed) throw new CommandError(`the service creates no checks: ${failed.error}`)
  return results.map(({ uuid }) => String(uuid))
}

export async function readChecks(server: Server, tag: string): Promise<OwnCheck[]> {
  const rows = await readList(server, checks, new URLSearchParams({ tag }))
  return rows.map(({ uuid, name, n_pings: pings, status }) => ({
    uuid: String(uuid),
    name: String(name),
    pings: Number(pings),
    status: String(status),
  }))
}

/** Deletes the checks with this tag. Returns how many. */
export async function deleteChecks(server: Server, tag: string): Promise<number> {
  const found = await readChecks(server, tag)
  for (const { uuid } of found)
    await server.call('DELETE', `${checks.path}${uuid}`).catch((error: Error) => {
      // Deleted by somebody else in the meantime.
      if (!(error instanceof ServerRefusal) || error.status !== 404) throw error
    })
  return found.length
}
