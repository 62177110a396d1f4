// Converts between a check and its row.

import { createHash } from 'node:crypto'
import type { WatchedCheck } from '../../core/check.ts'
import type { State } from '../../core/status.ts'
import { allFields, type Check, type DecidingFields, type Settings } from './fields.ts'

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

type Property =
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

const settingColumns = Object.fromEntries(allFields.map(({ setting, column }) => [setting, column])) as Record<
  keyof Settings,
  string
>

const columnOf: Record<Property, string> = {
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

/** Settings that do not influence decisions about heartbeats and deadlines. */
const notDeciding = new Set<Property>([
  ...allFields.filter(({ decides }) => !decides).map(({ setting }) => setting),
  'badgeKey',
  'createdAt',
])

const properties = Object.keys(columnOf) as Property[]
const selectList = (list: readonly Property[]) => list.map((name) => `m.${columnOf[name]} AS "${name}"`).join(', ')

/** The select lists for `toCheck` and `toWatchedCheck`: each column under the name of its property. */
export const checkColumns = selectList(properties)
export const watchedColumns = selectList(properties.filter((name) => !notDeciding.has(name)))

/** Null for most checks, which have no open run beside the latest. */
type StateRow = Omit<State, 'openRuns'> & { openRuns: State['openRuns'] | null }

export type WatchedRow = DecidingFields &
  StateRow &
  Pick<WatchedCheck, 'id' | 'projectId' | 'deadline' | 'lookAt'> & {
    unsettledFrom: number | null
    unsettledTo: number | null
  }
export type CheckRow = WatchedRow & Settings & Pick<Check, 'badgeKey' | 'createdAt'>

const noRuns: State['openRuns'] = []

/**
 * A row has the properties of all three parts, flat; selecting them by hand keeps this out of the profile of every
 * heartbeat.
 */
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
  const settings = Object.fromEntries(allFields.map(({ setting }) => [setting, row[setting]]))
  const { badgeKey, createdAt } = row
  return { ...toWatchedCheck(row), badgeKey, createdAt, settings: settings as Settings }
}

/** Public alias of a check: SHA-1 of the first half of its uuid, as Healthchecks makes it, so that dashboards survive a move. */
export function uniqueKey(id: string): string {
  return createHash('sha1').update(id.replaceAll('-', '').slice(0, 16)).digest('hex')
}
