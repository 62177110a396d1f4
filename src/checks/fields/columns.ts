// Converts between a check and its row.

import { createHash } from 'node:crypto'
import type { WatchedCheck } from '../../core/check.ts'
import type { State } from '../../core/status.ts'
import type { ColumnsOf } from '../../database/sql.ts'
import { type AnyField, allFields, type Check, type DecidingFields, type Settings } from './fields.ts'

/** Null for most checks, which have no open run beside the latest. */
type StateRow = Omit<State, 'openRuns'> & { openRuns: State['openRuns'] | null }

type WatchedOnly = StateRow &
  Pick<WatchedCheck, 'id' | 'projectId' | 'deadline' | 'lookAt'> & {
    unsettledFrom: number | null
    unsettledTo: number | null
    signingSecret: Buffer | null
  }
type WholeOnly = Pick<Check, 'badgeKey' | 'createdAt'>

export type WatchedRow = DecidingFields & WatchedOnly
export type CheckRow = WatchedRow & Settings & WholeOnly

/** The column of each property, and the type of that column. */
type StoredAs<Row> = { [Name in keyof Row]: readonly [column: string, type: ColumnsOf<Row>[Name]] }

const watchedOnly: StoredAs<WatchedOnly> = {
  id: ['id', 'uuid'],
  projectId: ['project_id', 'uuid'],
  deadline: ['deadline', 'timestamptz?'],
  lookAt: ['look_at', 'timestamptz?'],
  unsettledFrom: ['unsettled_from', 'timestamptz?'],
  unsettledTo: ['unsettled_to', 'timestamptz?'],
  signingSecret: ['signing_secret', 'bytea?'],
  status: ['status', 'text'],
  n: ['n', 'int8'],
  flipSeq: ['flip_seq', 'int4'],
  lastPing: ['last_ping', 'timestamptz?'],
  lastStart: ['last_start', 'timestamptz?'],
  lastStartRid: ['last_start_rid', 'uuid?'],
  lastDurationMs: ['last_duration_ms', 'int8?'],
  openRuns: ['open_runs', 'jsonb?'],
  failures: ['failures', 'int4'],
  successes: ['successes', 'int4'],
  missed: ['missed', 'int4'],
}
const wholeOnly: StoredAs<WholeOnly> = { badgeKey: ['badge_key', 'uuid'], createdAt: ['created_at', 'timestamptz'] }

/** A setting of ours is null by default, and a setting without a type on the wire is a text. */
const settings = (list: readonly AnyField[]) =>
  Object.fromEntries(
    list.map(({ setting, column, type, isOurs }) => [setting, [column, `${type?.sql ?? 'text'}${isOurs ? '?' : ''}`]]),
  )

const watched = {
  ...settings(allFields.filter(({ decides }) => decides)),
  ...watchedOnly,
} as unknown as StoredAs<WatchedRow>
const whole = { ...settings(allFields), ...watchedOnly, ...wholeOnly } as unknown as StoredAs<CheckRow>

/** What `toWatchedCheck` reads: all that influences decisions about heartbeats and deadlines. */
export const watchedColumns = selectionOf(watched)
/** What `toCheck` reads. */
export const checkColumns = selectionOf(whole)

/** The select list, each column under the name of its property, and the types of these columns. */
function selectionOf<Row>(columns: StoredAs<Row>): { list: string; types: ColumnsOf<Row> } {
  const all = Object.entries(columns) as [name: string, [column: string, type: string]][]
  return {
    list: all.map(([name, [column]]) => `m.${column} AS "${name}"`).join(', '),
    types: Object.fromEntries(all.map(([name, [, type]]) => [name, type])) as ColumnsOf<Row>,
  }
}

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
    signingSecret: row.signingSecret,
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
