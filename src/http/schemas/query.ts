// Query strings that no schema validates.

import { AppError } from '../../core/errors.ts'

export type Query = Record<string, string | string[] | undefined>

const limitDefault = 100
const limitMax = 1000

/** The value of a parameter; if it is given several times the last counts, as in Django. */
export function last(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.at(-1) : value
}

/** The largest number of items of an answer. */
export function parseLimit(value: string | string[] | undefined): number {
  const text = last(value)
  if (text === undefined) return limitDefault
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= limitMax) return limit
  throw new AppError('bad_request', `limit is not a whole number from 1 to ${limitMax}`, { field: 'limit' })
}
