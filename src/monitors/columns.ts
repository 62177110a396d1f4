// How a monitor lies in its row.

import type { Monitor, Settings } from '../core/monitor.ts'
import type { State, Status } from '../core/status.ts'

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
  pausedUntil: 'paused_until',
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
  failures: 'failures',
  successes: 'successes',
  missed: 'missed',
} satisfies Record<keyof State, string>

type Field = keyof Settings | keyof State | 'id' | 'projectId' | 'badgeKey' | 'createdAt' | 'deadline' | 'lookAt'

const columns: [Field, string][] = [
  ['id', 'id'],
  ['projectId', 'project_id'],
  ['badgeKey', 'badge_key'],
  ['createdAt', 'created_at'],
  ['deadline', 'deadline'],
  ['lookAt', 'look_at'],
  ...(Object.entries(settingColumns) as [Field, string][]),
  ...(Object.entries(stateColumns) as [Field, string][]),
]

/** The select list that `toMonitor` reads: each column under its field's name. */
export const monitorColumns = columns.map(([field, column]) => `m.${column} AS "${field}"`).join(', ')

export type MonitorRow = Record<Field, unknown>

export function toMonitor(row: MonitorRow): Monitor {
  const settings = {} as Record<string, unknown>
  for (const key in settingColumns) settings[key] = row[key as keyof Settings]
  return {
    id: row.id as string,
    projectId: row.projectId as string,
    badgeKey: row.badgeKey as string,
    createdAt: row.createdAt as number,
    deadline: row.deadline as number | null,
    lookAt: row.lookAt as number | null,
    settings: settings as Settings,
    state: {
      status: row.status as Status,
      n: row.n as number,
      flipSeq: row.flipSeq as number,
      lastPing: row.lastPing as number | null,
      lastStart: row.lastStart as number | null,
      lastStartRid: row.lastStartRid as string | null,
      lastDurationMs: row.lastDurationMs as number | null,
      failures: row.failures as number,
      successes: row.successes as number,
      missed: row.missed as number,
    },
  }
}
