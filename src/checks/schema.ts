// What a check's document may say when it is written: Healthchecks' fields with its rules, order and error texts (its catalogue, section
// 4.6), then ours. Unknown fields are ignored, as the original does.

import type { Settings } from '../core/check.ts'
import { AppError } from '../core/errors.ts'
import type { ApiVersion } from '../http/healthchecks-api.ts'
import { isUuid } from '../kit/identifier.ts'
import { parseInstant } from '../kit/instant.ts'
import { readZone } from '../schedule/legacy-zones.ts'
import { detectKind, isValidExpression } from '../schedule/schedule.ts'

/**
 * `derived` computes settings from those that the check has so far; they override `settings`. `channels` as written:
 * `*`, or ids and names joined by commas. `match` is what an existing check must have to be updated in place of making
 * one; null if nothing is.
 */
export type CheckInput = {
  settings: Partial<Settings>
  derived: (before: Settings) => Partial<Settings>
  channels: string | undefined
  match: Partial<Settings> | null
}

/** What `unique` may name, and the setting of each. */
const uniqueFields = { name: 'name', slug: 'slug', tags: 'tags', timeout: 'timeoutS', grace: 'graceS' } as const

/** Returns what is wrong with the value, or undefined. */
type Rule = (value: unknown) => string | undefined

const longestS = 365 * 86_400
const slugMax = 100
const descMax = 10_000
/** All channels that a project may have, by their longest names, with room to spare. */
const channelsMax = 100_000

/** A character has at most two units, so a text that is far too long need not be counted. */
const exceeds = (text: string, maxLength: number) =>
  text.length > 2 * maxLength || (text.length > maxLength && [...text].length > maxLength)

const string =
  (maxLength?: number, then?: (text: string) => string | undefined): Rule =>
  (value) => {
    if (typeof value !== 'string') return 'is not a string'
    if (maxLength !== undefined && exceeds(value, maxLength)) return 'is too long'
    // PostgreSQL stores any character but this one, and whole ones only.
    if (value.includes('\0')) return 'contains a NUL character'
    if (!value.isWellFormed()) return 'contains half of a surrogate pair'
    return then?.(value)
  }
/** For a text that Healthchecks accepts at any length; each reader of a list would have to load it. */
const bounded =
  (max: number): Rule =>
  (value) =>
    typeof value === 'string' && exceeds(value, max)
      ? `is too long, at most ${max} characters are possible`
      : string()(value)
const boolean: Rule = (value) => (typeof value === 'boolean' ? undefined : 'is not a boolean')
const integer =
  (minimum: number, maximum: number): Rule =>
  (value) => {
    // Python's booleans are the integers 0 and 1, which are less than the original allows.
    if (typeof value === 'boolean') return 'is too small'
    if (!Number.isInteger(value)) return 'is not a number'
    if ((value as number) < minimum) return 'is too small'
    return (value as number) > maximum ? 'is too large' : undefined
  }
/** Of a field of ours: the original's texts do not name the limit. */
const within =
  (minimum: number, maximum: number): Rule =>
  (value) => {
    if (!Number.isInteger(value)) return 'is not a whole number'
    if ((value as number) < minimum) return `is too small, at least ${minimum} is needed`
    return (value as number) > maximum ? `is too large, at most ${maximum} is possible` : undefined
  }
const nullable =
  (rule: Rule): Rule =>
  (value) =>
    value === null ? undefined : rule(value)

export const rules = {
  channels: bounded(channelsMax),
  desc: bounded(descMax),
  failure_kw: string(200),
  filter_body: boolean,
  filter_default_fail: boolean,
  filter_http_body: boolean,
  filter_subject: boolean,
  grace: integer(1, longestS),
  manual_resume: boolean,
  methods: (value) => (value === '' || value === 'POST' ? undefined : 'has unexpected value'),
  name: string(100),
  schedule: string(100, (text) =>
    isValidExpression(text) ? undefined : 'is not a valid cron or OnCalendar expression',
  ),
  slug: string(slugMax, (text) => (/^[a-z0-9-_]*$/.test(text) ? undefined : 'does not match pattern')),
  start_kw: string(200),
  subject: string(200),
  subject_fail: string(200),
  success_kw: string(200),
  tags: string(500),
  timeout: integer(1, longestS),
  tz: string(undefined, (text) => (readZone(text) ? undefined : 'is not a valid timezone')),
  unique: (value) => (Array.isArray(value) ? undefined : 'is not an array'),
  early_tolerance: nullable(within(1, longestS)),
  failure_threshold: nullable(within(1, 720)),
  max_pings_per_minute: nullable(within(1, 6000)),
  max_runtime: nullable(within(1, longestS)),
  min_runtime: nullable(within(1, longestS)),
  parent: nullable(string(undefined, (text) => (isUuid(text) ? undefined : 'is not a uuid'))),
  paused_until: nullable(
    string(undefined, (text) => (parseInstant(text) === null ? 'is not an ISO 8601 instant with a zone' : undefined)),
  ),
  recovery_threshold: nullable(within(1, 720)),
  remind_every: nullable(within(60, longestS)),
  severity: nullable((value) =>
    ['info', 'warning', 'critical'].includes(value as string) ? undefined : 'is not one of info, warning, critical',
  ),
  track_runs: nullable(boolean),
} satisfies Record<string, Rule>

type Field = keyof typeof rules

/** The settings that take a field's value as it is. */
const direct: Partial<Record<Field, keyof Settings>> = {
  name: 'name',
  slug: 'slug',
  tags: 'tags',
  desc: 'desc',
  grace: 'graceS',
  manual_resume: 'manualResume',
  methods: 'methods',
  filter_body: 'filterBody',
  filter_default_fail: 'filterDefaultFail',
  filter_http_body: 'filterHttpBody',
  filter_subject: 'filterSubject',
  start_kw: 'startKw',
  success_kw: 'successKw',
  failure_kw: 'failureKw',
  early_tolerance: 'earlyToleranceS',
  failure_threshold: 'failureThreshold',
  max_pings_per_minute: 'maxPingsPerMinute',
  max_runtime: 'maxRuntimeS',
  min_runtime: 'minRuntimeS',
  parent: 'parent',
  recovery_threshold: 'recoveryThreshold',
  severity: 'severity',
  remind_every: 'remindEveryS',
  track_runs: 'trackRuns',
}

/** Reads the body of a create or update call of one version of the API. Throws AppError('bad_request') for the first broken rule. */
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

/** As Django does it: what is left of the letters in ASCII, with hyphens for spaces. */
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
  // The newer name of a keyword wins over the older one.
  if (values.subject !== undefined) settings.successKw = values.subject
  if (values.subject_fail !== undefined) settings.failureKw = values.subject_fail
  for (const [field, setting] of Object.entries(direct)) {
    if (values[field] !== undefined) settings[setting] = values[field]
  }
  if (values.tz !== undefined) settings.tz = readZone(values.tz as string)
  if (values.paused_until !== undefined) {
    settings.pausedUntil = values.paused_until === null ? null : parseInstant(values.paused_until as string)
  }
  if (values.schedule !== undefined) {
    settings.kind = detectKind(values.schedule as string)
    settings.schedule = values.schedule
  } else if (values.timeout !== undefined) {
    settings.kind = 'simple'
    settings.timeoutS = values.timeout
  }
  return settings as Partial<Settings>
}

/**
 * The older names of the two keywords also switch the filter of subjects: on while either keyword is set, even by an
 * earlier call. A filter that the same call sets stays as set. (Healthchecks, hc/api/views.py, `_update`.)
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
