// How a check lies in its row.

import { createHash } from 'node:crypto'
import type { Check, DecidingSettings, Settings, WatchedCheck } from '../core/check.ts'
import type { State } from '../core/status.ts'

/** Column of each setting. */
export const settingColumns = {
  name: 'name',
  slug: 'slug',
  tags: 'tags',
  desc: '"desc"',
  kind: 'kind',
  timeoutS: 'timeout_s',
  graceS: 'grace_s',
  schedule: 'schedule',
  tz: 'tz',
  maxRuntimeS: 'max_runtime_s',
  minRuntimeS: 'min_runtime_s',
  failureThreshold: 'failure_threshold',
  recoveryThreshold: 'recovery_threshold',
  earlyToleranceS: 'early_tolerance_s',
  parent: 'parent_id',
  pausedUntil: 'paused_until',
  trackRuns: 'track_runs',
  maxPingsPerMinute: 'max_pings_per_minute',
  severity: 'severity',
  remindEveryS: 'remind_every_s',
  methods: 'methods',
  manualResume: 'manual_resume',
  filterSubject: 'filter_subject',
  filterBody: 'filter_body',
  filterHttpBody: 'filter_http_body',
  filterDefaultFail: 'filter_default_fail',
  startKw: 'start_kw',
  successKw: 'success_kw',
  failureKw: 'failure_kw',
} satisfies Record<keyof Settings, string>

const stateColumns = {
  status: 'status',
  n: 'n',
  flipSeq: 'flip_seq',
  lastPing: 'last_ping',
  lastStart: 'last_start',
  lastStartRid: 'last_start_rid',
  lastDurationMs: 'last_duration_ms',
  openRuns: 'open_runs',
  failures: 'failures',
  successes: 'successes',
  missed: 'missed',
} satisfies Record<keyof State, string>

type Field =
  | keyof Settings
  | keyof State
  | 'id'
  | 'projectId'
  | 'badgeKey'
  | 'createdAt'
  | 'deadline'
  | 'lookAt'
  | 'unsettledFrom'
  | 'unsettledTo'

const columnOf: Record<Field, string> = {
  ...settingColumns,
  ...stateColumns,
  id: 'id',
  projectId: 'project_id',
  badgeKey: 'badge_key',
  createdAt: 'created_at',
  deadline: 'deadline',
  lookAt: 'look_at',
  unsettledFrom: 'unsettled_from',
  unsettledTo: 'unsettled_to',
}

/** Only for people: heartbeats and deadlines are decided without them. */
const undeciding: Field[] = [
  'name',
  'slug',
  'tags',
  'desc',
  'parent',
  'severity',
  'remindEveryS',
  'badgeKey',
  'createdAt',
]

const selectList = (fields: Field[]) => fields.map((field) => `m.${columnOf[field]} AS "${field}"`).join(', ')

/** The select lists that `toCheck` and `toWatchedCheck` read: each column under its field's name. */
export const checkColumns = selectList(Object.keys(columnOf) as Field[])
export const watchedColumns = selectList(
  (Object.keys(columnOf) as Field[]).filter((field) => !undeciding.includes(field)),
)

/** Most checks have no run open beside the latest: null. */
type StateRow = Omit<State, 'openRuns'> & { openRuns: State['openRuns'] | null }

export type WatchedRow = DecidingSettings &
  StateRow &
  Pick<WatchedCheck, 'id' | 'projectId' | 'deadline' | 'lookAt'> & {
    unsettledFrom: number | null
    unsettledTo: number | null
  }
export type CheckRow = WatchedRow & Settings & Pick<Check, 'badgeKey' | 'createdAt'>

const noRuns: State['openRuns'] = []

/** A row has the fields of all three parts, flat; picking them apart by hand keeps this off the profile of every heartbeat. */
export function toWatchedCheck(row: WatchedRow): WatchedCheck {
  const { id, projectId, deadline, lookAt, unsettledFrom: from, unsettledTo: to } = row
  return {
    id,
    projectId,
    deadline,
    lookAt,
    unsettled: from === null || to === null ? null : { from, to },
    settings: row,
    state: {
      status: row.status,
      n: row.n,
      flipSeq: row.flipSeq,
      lastPing: row.lastPing,
      lastStart: row.lastStart,
      lastStartRid: row.lastStartRid,
      lastDurationMs: row.lastDurationMs,
      openRuns: row.openRuns ?? noRuns,
      failures: row.failures,
      successes: row.successes,
      missed: row.missed,
    },
  }
}

export function toCheck(row: CheckRow): Check {
  const settings = Object.fromEntries(Object.keys(settingColumns).map((key) => [key, row[key as keyof Settings]]))
  const { badgeKey, createdAt } = row
  return { ...toWatchedCheck(row), badgeKey, createdAt, settings: settings as Settings }
}

/** Public alias of a check: SHA-1 of the first half of its uuid, as Healthchecks makes it, so that dashboards survive a move. */
export function uniqueKey(id: string): string {
  return createHash('sha1').update(id.replaceAll('-', '').slice(0, 16)).digest('hex')
}
