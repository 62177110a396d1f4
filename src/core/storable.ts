// Which values a column can hold. If a column cannot hold one value, PostgreSQL refuses the whole statement, and with
// it the heartbeats of other checks in the same batch. So every value is checked against its column before it joins a
// batch.

import { isUuid } from '../kit/identifier.ts'
import type { Column } from './columns.ts'

/** Epoch milliseconds from 1970 to 2100: anything else comes from a damaged clock or record. */
const earliest = 0
const latest = Date.UTC(2100, 0, 1)

const lowestInt4 = -(2 ** 31)
const highestInt4 = 2 ** 31 - 1

/**
 * The rule that the value breaks, as a sentence without its subject, the field; null if the column can hold the value.
 */
export function brokenRule(column: Column, value: unknown): string | null {
  if (value === null) return column.isNullable ? null : 'must not be null'
  switch (column.type) {
    case 'uuid':
      return typeof value === 'string' && isUuid(value) ? null : 'must be a uuid'
    case 'text':
      return typeof value === 'string' ? brokenTextRule(value, column.max) : 'must be a string'
    case 'int4':
      return isWhole(value, lowestInt4, highestInt4) ? null : 'must be a whole number of 32 bits'
    case 'int8':
      return isWhole(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ? null : 'must be a whole number'
    case 'instant':
      return isWhole(value, earliest, latest) ? null : 'must be an instant from 1970 to 2100 in whole milliseconds'
    case 'bytes':
      return value instanceof Uint8Array ? null : 'must be bytes'
    case 'boolean':
      return typeof value === 'boolean' ? null : 'must be true or false'
    case 'json':
      // Inside JSON a NUL and a lone surrogate are escapes, which jsonb refuses as text does.
      return brokenTextRule(JSON.stringify(value).replaceAll(/\\u(0000|d[89a-f]..)/gi, '\0'), null)
  }
}

/**
 * Makes a text storable that the sender did not choose: removes NUL characters, makes it well-formed, cuts it to
 * length.
 */
export function cleanText({ max }: Column, text: string): string {
  const whole = (text.includes('\0') ? text.replaceAll('\0', '') : text).toWellFormed()
  return max === null || whole.length <= max ? whole : cutText(whole, max)
}

function brokenTextRule(text: string, max: number | null): string | null {
  if (text.includes('\0')) return 'must not contain a NUL character'
  if (!text.isWellFormed()) return 'must be well-formed Unicode'
  // Code points are counted only above the limit, and only as many as the column could hold.
  const isLong = max !== null && text.length > max && (text.length > 2 * max || [...text].length > max)
  return isLong ? `must have at most ${max} characters` : null
}

function cutText(text: string, max: number): string {
  return [...text.slice(0, 2 * max)].slice(0, max).join('')
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}
