// What a field of a check can contain: the rule for a value, its schema for the description of the API, and the
// conversion if wire and program differ.

import { type TSchema, Type } from 'typebox'
import type { SqlType } from '../../database/sql.ts'
import { isUuid } from '../../kit/identifier.ts'
import { isoMillis, isoSeconds, parseInstant } from '../../kit/instant.ts'
import { readZone } from '../../schedule/legacy-zones.ts'
import { isValidExpression } from '../../schedule/schedule.ts'

/**
 * Returns what is wrong with a value, as a sentence without its subject, the field; undefined if the value is valid.
 */
export type FieldRule = (value: unknown) => string | undefined

export type Wire = string | number | boolean | null

/** Instants have seconds in documents of the Healthchecks API, and milliseconds elsewhere. */
export type Precision = 'seconds' | 'milliseconds'

export type FieldType<Value> = {
  /** The type of its column; an instant is kept as epoch milliseconds here. */
  sql: SqlType
  rule: FieldRule
  schema: (options: { description: string }) => TSchema
  /** Converts a value that follows the rule; without it the value is stored as it is written. */
  read?(value: string): Value
  show?(value: Value, precision: Precision): Wire
}

export type CheckField = {
  /** On the wire. */
  name: string
  column: string
  /** The name on the wire; null if nobody reads or writes the field there. */
  type: FieldType<unknown> | null
  default: unknown
  /** The text in the description of the API. */
  about: string
  /** Not a field of Healthchecks. Its default is null, and a document leaves out null. */
  isOurs?: true
  /** The status of a check depends on it (core/check.ts). */
  decides?: true
  /** A document has either the timeout, or the expression and the zone. */
  isSchedule?: true
  /** Definitions read and write it in their own way (checks/definitions/definition.ts). */
  isSpecialInDefinitions?: true
}

/** A field of Flatline's own: not set by default. */
export function ours<const Given extends Omit<CheckField, 'default' | 'isOurs'>>(given: Given) {
  return { ...given, default: null, isOurs: true } as const
}

export const longestS = 365 * 86_400

/** A text of at most so many characters, with the error text of Healthchecks. */
export function text(maxLength: number): FieldType<string> {
  return { sql: 'text', rule: string(maxLength), schema: (options) => Type.String({ maxLength, ...options }) }
}

/**
 * A text that Healthchecks accepts at any length. The limit is Flatline's own, so the error contains it; every reader
 * of a list loads these texts.
 */
export function boundedText(maxLength: number): FieldType<string> {
  const rule: FieldRule = (value) =>
    typeof value === 'string' && exceeds(value, maxLength)
      ? `is too long, at most ${maxLength} characters are possible`
      : string()(value)
  return { sql: 'text', rule, schema: (options) => Type.String({ maxLength, ...options }) }
}

export const slugMax = 100

export const slug: FieldType<string> = {
  sql: 'text',
  rule: string(slugMax, (value) => (/^[a-z0-9-_]*$/.test(value) ? undefined : 'does not match pattern')),
  schema: (options) => Type.String({ maxLength: slugMax, pattern: '^[a-z0-9-_]*$', ...options }),
}

/** A credential in an address. */
export const token: FieldType<string> = {
  sql: 'text',
  rule: (value) =>
    typeof value === 'string' && /^[A-Za-z0-9_-]{16,64}$/.test(value)
      ? undefined
      : 'is not a text of 16 to 64 letters, digits, _ and -',
  schema: (options) => Type.String({ pattern: '^[A-Za-z0-9_-]{16,64}$', ...options }),
}

export const expression: FieldType<string> = {
  sql: 'text',
  rule: string(100, (value) => (isValidExpression(value) ? undefined : 'is not a valid cron or OnCalendar expression')),
  schema: (options) => Type.String({ maxLength: 100, ...options }),
}

export const timeZone: FieldType<string> = {
  sql: 'text',
  rule: string(undefined, (value) => (readZone(value) ? undefined : 'is not a valid timezone')),
  schema: (options) => Type.String({ maxLength: 36, ...options }),
  read: (value) => readZone(value) ?? value,
}

export const methods: FieldType<string> = {
  sql: 'text',
  rule: (value) => (value === '' || value === 'POST' ? undefined : 'has unexpected value'),
  schema: (options) => Type.String({ enum: ['', 'POST'], ...options }),
}

export const flag: FieldType<boolean> = {
  sql: 'bool',
  rule: (value) => (typeof value === 'boolean' ? undefined : 'is not a boolean'),
  schema: (options) => Type.Boolean(options),
}

/** A length in seconds, with the error texts of Healthchecks. */
export const seconds: FieldType<number> = {
  sql: 'int4',
  rule: (value) => {
    // Python's booleans are the integers 0 and 1, which are below Healthchecks' minimum.
    if (typeof value === 'boolean') return 'is too small'
    if (!Number.isInteger(value)) return 'is not a number'
    if ((value as number) < 1) return 'is too small'
    return (value as number) > longestS ? 'is too large' : undefined
  },
  schema: (options) => Type.Integer({ minimum: 1, maximum: longestS, ...options }),
}

/** A whole number of an own field: Healthchecks' texts do not contain the limit. */
export function within(minimum: number, maximum: number): FieldType<number> {
  const rule: FieldRule = (value) => {
    if (!Number.isInteger(value)) return 'is not a whole number'
    if ((value as number) < minimum) return `is too small, at least ${minimum} is needed`
    return (value as number) > maximum ? `is too large, at most ${maximum} is possible` : undefined
  }
  return { sql: 'int4', rule, schema: (options) => Type.Integer({ minimum, maximum, ...options }) }
}

export function oneOf<const Word extends string>(words: readonly Word[]): FieldType<Word> {
  return {
    sql: 'text',
    rule: (value) => (words.includes(value as Word) ? undefined : `is not one of ${words.join(', ')}`),
    schema: (options) => Type.String({ enum: [...words], ...options }),
  }
}

export const instant: FieldType<number> = {
  sql: 'timestamptz',
  rule: string(undefined, (value) =>
    parseInstant(value) === null ? 'is not an ISO 8601 instant with a zone' : undefined,
  ),
  schema: (options) => Type.String(options),
  read: (value) => parseInstant(value) ?? 0,
  show: (value, precision) => (precision === 'seconds' ? isoSeconds(value) : isoMillis(value)),
}

export const checkId: FieldType<string> = {
  sql: 'uuid',
  rule: string(undefined, (value) => (isUuid(value) ? undefined : 'is not a uuid')),
  schema: (options) => Type.String(options),
}

export function nullable(rule: FieldRule): FieldRule {
  return (value) => (value === null ? undefined : rule(value))
}

function string(maxLength?: number, then?: (value: string) => string | undefined): FieldRule {
  return (value) => {
    if (typeof value !== 'string') return 'is not a string'
    if (maxLength !== undefined && exceeds(value, maxLength)) return 'is too long'
    // PostgreSQL stores any character except this one, but no half of a surrogate pair.
    if (value.includes('\0')) return 'contains a NUL character'
    if (!value.isWellFormed()) return 'contains half of a surrogate pair'
    return then?.(value)
  }
}

/** A character has at most two units, so a much longer text need not be counted. */
function exceeds(value: string, maxLength: number): boolean {
  return value.length > 2 * maxLength || (value.length > maxLength && [...value].length > maxLength)
}
