// People name a check or a channel; the API wants its id.

import { isUuid } from '../../kit/identifier.ts'
import { CommandError } from '../errors.ts'
import type { Server } from '../server.ts'
import type { Row } from './print.ts'
import { type Resource, resources } from './table.ts'

const uniqueKey = /^[0-9a-f]{40}$/

/** The rows of a list, page by page, up to `most`. */
export async function readList(
  server: Server,
  { path, list, paged }: { path: string; list: string; paged?: boolean },
  query: URLSearchParams,
  most = Number.POSITIVE_INFINITY,
  pageSize = 1000,
): Promise<Row[]> {
  const rows: Row[] = []
  const asked = new URLSearchParams(query)
  for (;;) {
    if (paged) asked.set('limit', String(Math.min(pageSize, most - rows.length)))
    const text = asked.toString()
    const answer = (await server.get(text === '' ? path : `${path}?${text}`)) as Record<string, unknown>
    rows.push(...(answer[list] as Row[]))
    const { next } = answer
    if (!paged || typeof next !== 'string' || rows.length >= most) return rows
    asked.set('after', next)
  }
}

/** The id in addresses of what `given` means: an id, a slug or a name. Throws CommandError unless it is exactly one. */
export async function findId(server: Server, name: string, resource: Resource, given: string): Promise<string> {
  const { lookUp, id } = resource
  if (lookUp === undefined || isUuid(given) || uniqueKey.test(given)) return given
  const singular = name.replace(/s$/, '')
  const idOf = (row: Row) => String(row[id] ?? row.unique_key)
  const bySlug = lookUp.slug ? await readList(server, lookUp, new URLSearchParams({ slug: given })) : []
  const all = bySlug.length > 0 ? bySlug : await readList(server, lookUp, new URLSearchParams())
  const found = bySlug.length > 0 ? bySlug : all.filter((row) => row.name === given)
  if (found.length === 1) return idOf(found[0] as Row)
  const ids = found.slice(0, 5).map(idOf)
  throw new CommandError(
    found.length === 0
      ? `there is no ${singular} ${given}: give its ${lookUp.slug ? 'uuid, slug' : 'id'} or name`
      : `${found.length} ${name} have the name ${given}: give the ${id} of one (${ids.join(', ')}${found.length > ids.length ? ', …' : ''})`,
  )
}

export const findChannel = (server: Server, given: string): Promise<string> =>
  findId(server, 'channels', resources.channels as Resource, given)
