// The query strings of Healthchecks' calls on checks.

import { AppError } from '../core/errors.ts'
import { last, parseLimit, type Query } from '../http/schemas/query.ts'
import type { CheckFilter } from './reading.ts'

const secondsMax = 31_536_000
const timestampMax = 10_000_000_000

/** `page` is null unless the caller asks for pages, which Healthchecks does not have. */
export function parseListQuery(query: Query): {
  filter: CheckFilter
  page: { limit: number; after: string | null } | null
} {
  const filter = { tags: [...new Set([query.tag ?? []].flat())], slug: last(query.slug) || null }
  const after = last(query.after) ?? null
  if (query.limit === undefined && after === null) return { filter, page: null }
  return { filter, page: { limit: parseLimit(query.limit), after } }
}

/** In epoch milliseconds, `to` exclusive. Like Healthchecks, answers anything else with 400 and an empty body. */
export function parseFlipRange(query: Query, now: number): { from: number | null; to: number | null } {
  const start = parseInteger(last(query.start), timestampMax)
  const end = parseInteger(last(query.end), timestampMax)
  const seconds = parseInteger(last(query.seconds) || undefined, secondsMax)
  const froms = [start === null ? null : start * 1000, seconds ? now - seconds * 1000 : null].filter(
    (at) => at !== null,
  )
  return { from: froms.length === 0 ? null : Math.max(...froms), to: end === null ? null : end * 1000 }
}

function parseInteger(text: string | undefined, max: number): number | null {
  if (text === undefined) return null
  const value = /^\s*\+?\d{1,12}\s*$/.test(text) ? Number(text) : Number.NaN
  if (value <= max) return value
  throw new AppError('bad_request', '')
}
