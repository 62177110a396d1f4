// The settings of a check, one row each. From the row derive the type and the default of the setting, its column, its
// validation, and its place in the documents of the API, in definitions, in the audit log, in the description of the API
// and in the import from Healthchecks. A new field is a row here, a migration, and the code that uses it.

import type { WatchedCheck } from '../../core/check.ts'
import type { Schedule } from '../../schedule/schedule.ts'
import {
  boundedText,
  type CheckField,
  checkId,
  expression,
  type FieldType,
  flag,
  instant,
  longestS,
  methods,
  oneOf,
  ours,
  type Precision,
  seconds,
  slug,
  text,
  timeZone,
  token,
  type Wire,
  within,
} from './field-types.ts'

const keywordsMax = 200
const thresholdMax = 720

/** By the name of the setting, in the order of the documents. */
export const fields = {
  name: { name: 'name', column: 'name', type: text(100), default: '', about: 'Name' },
  slug: { name: 'slug', column: 'slug', type: slug, default: '', about: 'Name in addresses' },
  tags: { name: 'tags', column: 'tags', type: text(500), default: '', about: 'Words separated by spaces' },
  desc: { name: 'desc', column: '"desc"', type: boundedText(10_000), default: '', about: 'Description' },
  graceS: {
    name: 'grace',
    column: 'grace_s',
    type: seconds,
    default: 3600,
    decides: true,
    about: 'Seconds that a heartbeat may be late',
  },
  manualResume: {
    name: 'manual_resume',
    column: 'manual_resume',
    type: flag,
    default: false,
    decides: true,
    about: 'If true, only a resume ends a pause, and heartbeats are ignored until then',
  },
  methods: {
    name: 'methods',
    column: 'methods',
    type: methods,
    default: '',
    decides: true,
    about: 'Whether only POST counts',
  },
  startKw: {
    name: 'start_kw',
    column: 'start_kw',
    type: text(keywordsMax),
    default: '',
    decides: true,
    about: 'Keywords that mean a start',
  },
  successKw: {
    name: 'success_kw',
    column: 'success_kw',
    type: text(keywordsMax),
    default: '',
    decides: true,
    about: 'Keywords that mean success',
  },
  failureKw: {
    name: 'failure_kw',
    column: 'failure_kw',
    type: text(keywordsMax),
    default: '',
    decides: true,
    about: 'Keywords that mean failure',
  },
  filterSubject: {
    name: 'filter_subject',
    column: 'filter_subject',
    type: flag,
    default: false,
    decides: true,
    about: 'Whether keywords are searched in the subject of e-mails',
  },
  filterBody: {
    name: 'filter_body',
    column: 'filter_body',
    type: flag,
    default: false,
    decides: true,
    about: 'Whether keywords are searched in the body of e-mails',
  },
  filterHttpBody: {
    name: 'filter_http_body',
    column: 'filter_http_body',
    type: flag,
    default: false,
    decides: true,
    about: 'Whether keywords are searched in the body of requests',
  },
  filterDefaultFail: {
    name: 'filter_default_fail',
    column: 'filter_default_fail',
    type: flag,
    default: false,
    decides: true,
    about: 'Whether a request without a keyword is a failure; otherwise it is ignored',
  },
  kind: {
    name: 'kind',
    column: 'kind',
    type: null,
    default: 'simple' as Schedule['kind'],
    decides: true,
    isSchedule: true,
    about: 'Derived: whether the check has a timeout or an expression',
  },
  timeoutS: {
    name: 'timeout',
    column: 'timeout_s',
    type: seconds,
    default: 86_400,
    decides: true,
    isSchedule: true,
    about: 'Seconds between heartbeats',
  },
  schedule: {
    name: 'schedule',
    column: 'schedule',
    type: expression,
    default: '* * * * *',
    decides: true,
    isSchedule: true,
    about: 'Cron or OnCalendar expression, instead of a timeout',
  },
  tz: {
    name: 'tz',
    column: 'tz',
    type: timeZone,
    default: 'UTC',
    decides: true,
    isSchedule: true,
    about: 'Time zone of the schedule',
  },
  maxRuntimeS: ours({
    name: 'max_runtime',
    column: 'max_runtime_s',
    type: within(1, longestS),
    decides: true,
    about: 'How many seconds a run may take; without it the grace time',
  }),
  minRuntimeS: ours({
    name: 'min_runtime',
    column: 'min_runtime_s',
    type: within(1, longestS),
    decides: true,
    about: 'A run that takes fewer seconds is a failure',
  }),
  failureThreshold: ours({
    name: 'failure_threshold',
    column: 'failure_threshold',
    type: within(1, thresholdMax),
    decides: true,
    about: 'How many consecutive failures make it down',
  }),
  recoveryThreshold: ours({
    name: 'recovery_threshold',
    column: 'recovery_threshold',
    type: within(1, thresholdMax),
    decides: true,
    about: 'How many consecutive successes make it up again',
  }),
  trackRuns: ours({
    name: 'track_runs',
    column: 'track_runs',
    type: flag,
    decides: true,
    about: 'Whether every overlapping run is watched by its rid, not only the latest',
  }),
  maxPingsPerMinute: ours({
    name: 'max_pings_per_minute',
    column: 'max_pings_per_minute',
    type: within(1, 6000),
    decides: true,
    about: 'Maximum number of pings per minute; further ones are answered 429 and not recorded',
  }),
  severity: ours({
    name: 'severity',
    column: 'severity',
    type: oneOf(['info', 'warning', 'critical']),
    about: 'Severity of an outage, by which channels filter',
  }),
  remindEveryS: ours({
    name: 'remind_every',
    column: 'remind_every_s',
    type: within(60, longestS),
    about:
      'Seconds between reminders of an outage, on every channel that got the alert; without it as each channel says',
  }),
  earlyToleranceS: ours({
    name: 'early_tolerance',
    column: 'early_tolerance_s',
    type: within(1, longestS),
    decides: true,
    about: 'How many seconds before its slot a heartbeat still counts for the slot',
  }),
  pausedUntil: ours({
    name: 'paused_until',
    column: 'paused_until',
    type: instant,
    decides: true,
    isSpecialInDefinitions: true,
    about: 'End of the pause, ISO 8601 with a zone',
  }),
  pushToken: ours({
    name: 'push_token',
    column: 'push_token',
    type: token,
    about: 'The token of its address /api/push/<token>, to which clients of Uptime Kuma send',
  }),
  parent: ours({
    name: 'parent',
    column: 'parent_id',
    type: checkId,
    isSpecialInDefinitions: true,
    about:
      'The parent check: while it is down, this check sends no alerts; its uuid, for a read-only key its unique key',
  }),
} satisfies Record<string, CheckField>

type Fields = typeof fields

/** Lengths in seconds, `pausedUntil` in epoch milliseconds; null is "not set". */
export type Settings = { -readonly [Name in keyof Fields]: FieldValue<Fields[Name]> }

type FieldValue<Row extends CheckField> =
  Row['type'] extends FieldType<infer Value> ? (Row extends { isOurs: true } ? Value | null : Value) : Row['default']

/** The settings on which a status depends. */
export type DecidingFields = {
  [Name in keyof Fields as Fields[Name] extends { decides: true } ? Name : never]: Settings[Name]
}

/** A check with all its settings. */
export type Check = WatchedCheck & { badgeKey: string; createdAt: number; settings: Settings }

/** One field, for code that treats all fields alike. */
export type AnyField = CheckField & { setting: keyof Settings }

export const allFields: readonly AnyField[] = Object.entries(fields).map(([setting, field]) => ({
  setting: setting as keyof Settings,
  ...(field as CheckField),
}))

/** The fields that are read and written on the wire. */
export const wireFields = allFields.filter(
  (field): field is AnyField & { type: FieldType<unknown> } => field.type !== null,
)

export const defaultSettings: Settings = Object.fromEntries(
  allFields.map(({ setting, default: value }) => [setting, value]),
) as { [Name in keyof Fields]: Fields[Name]['default'] }

/** The value of a setting on the wire. */
export function wireValue(field: AnyField, settings: Settings, precision: Precision): Wire {
  const value = settings[field.setting]
  return value !== null && field.type?.show ? field.type.show(value, precision) : value
}
