// Validates a check's document on write: Healthchecks' fields with its rules, order and error texts
// (https://healthchecks.io/docs/api/), then Flatline's own. Unknown fields are ignored, as Healthchecks does.

import { AppError } from '../../core/errors.ts'
import type { ApiVersion } from '../../http/schemas/healthchecks-api.ts'
import { detectKind } from '../../schedule/schedule.ts'
import { boundedText, type FieldRule, nullable, slugMax } from './field-types.ts'
import { fields, type Settings, wireFields } from './fields.ts'

/**
 * `derived` computes settings from the current ones; they override `settings`. `channels` is as written: `*`, or ids
 * and names joined by commas. `match` are the values by which an existing check is updated instead of creating one;
 * null if there are none.
 */
export type CheckInput = {
  settings: Partial<Settings>
  derived: (before: Settings) => Partial<Settings>
  channels: string | undefined
  match: Partial<Settings> | null
}

/** The fields that `unique` may contain, and the setting of each. */
const uniqueFields = { name: 'name', slug: 'slug', tags: 'tags', timeout: 'timeoutS', grace: 'graceS' } as const

/** The longest possible list of channels: all channels of a project by their longest names, with room to spare. */
const channelsMax = 100_000

const theirRules: Record<string, FieldRule> = {
  ...rulesOf(wireFields.filter(({ isOurs }) => !isOurs)),
  subject: fields.successKw.type.rule,
  subject_fail: fields.failureKw.type.rule,
  channels: boundedText(channelsMax).rule,
  unique: (value) => (Array.isArray(value) ? undefined : 'is not an array'),
}

/** Healthchecks validates its fields in alphabetical order. */
export const rules: Record<string, FieldRule> = {
  ...sorted(theirRules),
  ...sorted(rulesOf(wireFields.filter(({ isOurs }) => isOurs))),
}

function rulesOf(list: typeof wireFields): Record<string, FieldRule> {
  return Object.fromEntries(list.map(({ name, type, isOurs }) => [name, isOurs ? nullable(type.rule) : type.rule]))
}

function sorted(all: Record<string, FieldRule>): Record<string, FieldRule> {
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * Reads the body of a create or update call of one version of the API. Throws AppError('bad_request') for the first
 * broken rule.
 */
export function parseCheck(values: Record<string, unknown>, version: ApiVersion): CheckInput {
  for (const [field, rule] of Object.entries(rules)) {
    const problem = values[field] === undefined ? undefined : rule(values[field])
    if (problem !== undefined) throw invalid(`${field} ${problem}`, field)
  }
  const unique = (values.unique ?? []) as (keyof typeof uniqueFields)[]
  if (unique.some((field) => typeof field !== 'string' || !Object.hasOwn(uniqueFields, field))) {
    throw invalid("an item in 'unique' has unexpected value", 'unique')
  }
  const settings = toSettings(values)
  // The older versions made the slug from the name.
  if (version < 3 && values.name !== undefined && values.slug === undefined)
    settings.slug = slugify(settings.name ?? '')
  const isWhole = unique.length > 0 && unique.every((field) => values[field] !== undefined)
  const match = isWhole ? Object.fromEntries(unique.map((field) => [uniqueFields[field], values[field]])) : null
  return { settings, derived: derivedSettings(values), channels: values.channels as string | undefined, match }
}

/** As Django does: the letters that remain in ASCII, with hyphens for spaces. */
function slugify(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/\P{ASCII}/gu, '')
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replace(/[-\s]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '')
    .slice(0, slugMax)
}

function toSettings(values: Record<string, unknown>): Partial<Settings> {
  const settings: Record<string, unknown> = {}
  // The newer name of a keyword overrides the older one.
  if (values.subject !== undefined) settings.successKw = values.subject
  if (values.subject_fail !== undefined) settings.failureKw = values.subject_fail
  for (const { setting, name, type } of wireFields) {
    const value = values[name]
    if (value !== undefined) settings[setting] = type.read && value !== null ? type.read(value as string) : value
  }
  if (values.schedule !== undefined) {
    settings.kind = detectKind(values.schedule as string)
    // An expression overrides a timeout.
    delete settings.timeoutS
  } else if (values.timeout !== undefined) settings.kind = 'simple'
  return settings as Partial<Settings>
}

/**
 * The older names of the two keywords also switch the subject filter: it is on while either keyword is set, even by an
 * earlier call. If the same call sets the filter, it stays as set. (Healthchecks, hc/api/views.py, `_update`.)
 */
function derivedSettings(values: Record<string, unknown>): CheckInput['derived'] {
  const { subject, subject_fail, filter_subject } = values
  const isLeftAlone = (subject === undefined && subject_fail === undefined) || filter_subject !== undefined
  if (isLeftAlone) return () => ({})
  return (before) => ({ filterSubject: Boolean((subject ?? before.successKw) || (subject_fail ?? before.failureKw)) })
}

function invalid(problem: string, field?: string): AppError {
  return new AppError('bad_request', `json validation error: ${problem}`, field === undefined ? {} : { field })
}
