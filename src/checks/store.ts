import { retireCheck } from '../accounts/retired-addresses-store.ts'
import type { Unsettled, WatchedCheck } from '../core/check.ts'
import type { Redated } from '../core/reevaluate.ts'
import type { Flip, State } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import { instant, statement } from '../database/sql.ts'
import {
  type CheckRow,
  checkColumns,
  toCheck,
  toWatchedCheck,
  uniqueKey,
  type WatchedRow,
  watchedColumns,
} from './fields/columns.ts'
import { type AnyField, allFields, type Check, type Settings } from './fields/fields.ts'

/** A flip and the request that caused it; a deadline has no request. */
export type CausedFlip = Flip & { requestId?: string | undefined }

/** A decided change of one check: the state that was read, the new state, and the flips in between. */
export type DecidedChange = {
  check: WatchedCheck
  state: State
  deadline: number | null
  lookAt: number | null
  unsettled: Unsettled | null
  flips: readonly CausedFlip[]
}

const lock = (columns: string) =>
  `SELECT ${columns} FROM checks m WHERE m.id = ANY($1::uuid[]) ORDER BY m.id FOR UPDATE`
const lockWatched = statement<WatchedRow>('checks_lock', watchedColumns.types, lock(watchedColumns.list))
const lockWhole = statement<CheckRow>('checks_lock_whole', checkColumns.types, lock(checkColumns.list))

/** Locks in id order, so that two replicas with the same checks cannot deadlock. */
export async function lockChecks(tx: Queryable, ids: readonly string[]): Promise<WatchedCheck[]> {
  return (await tx.query(lockWatched, [ids])).map(toWatchedCheck)
}

/** Locks one check, and reads all its settings. */
export async function lockCheck(tx: Queryable, id: string): Promise<Check | null> {
  const [row] = await tx.query(lockWhole, [[id]])
  return row ? toCheck(row) : null
}

const projectIds = statement(
  'checks_project_ids',
  { id: 'uuid', projectId: 'uuid' },
  'SELECT id, project_id AS "projectId" FROM checks WHERE id = ANY($1::uuid[])',
)

export async function selectProjectIds(
  on: Queryable,
  ids: readonly string[],
): Promise<{ id: string; projectId: string }[]> {
  return on.query(projectIds, [ids])
}

/** Whether a check filters by the subject of a message, and by its texts. */
export type MailFilters = { id: string; filterSubject: boolean; filterBody: boolean }

const mailFilters = statement<MailFilters>(
  'checks_mail_filters',
  { id: 'uuid', filterSubject: 'bool', filterBody: 'bool' },
  'SELECT id, filter_subject AS "filterSubject", filter_body AS "filterBody" FROM checks WHERE id = ANY($1::uuid[])',
)

/** The filters of those checks that exist, in any project: the id is the credential of the sender. */
export async function selectMailFilters(on: Queryable, ids: readonly string[]): Promise<MailFilters[]> {
  return on.query(mailFilters, [ids])
}

const write = statement(
  'checks_write',
  { id: 'uuid' },
  `UPDATE checks m SET
     status = d.status, n = d.n, flip_seq = d.flip_seq,
     last_ping = ${instant('d.last_ping')}, last_start = ${instant('d.last_start')}, last_start_rid = d.last_start_rid,
     last_duration_ms = d.last_duration_ms, open_runs = d.open_runs::jsonb, failures = d.failures, successes = d.successes, missed = d.missed,
     deadline = ${instant('d.deadline')}, look_at = ${instant('d.look_at')},
     unsettled_from = ${instant('d.unsettled_from')}, unsettled_to = ${instant('d.unsettled_to')}
   FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::text[], $5::bigint[], $6::int[], $7::float8[], $8::float8[], $9::uuid[],
     $10::bigint[], $11::text[], $12::int[], $13::int[], $14::int[], $15::float8[], $16::float8[], $17::float8[], $18::float8[])
     AS d(id, was_n, was_flip_seq, status, n, flip_seq, last_ping, last_start, last_start_rid,
          last_duration_ms, open_runs, failures, successes, missed, deadline, look_at, unsettled_from, unsettled_to)
   WHERE m.id = d.id AND m.n = d.was_n AND m.flip_seq = d.was_flip_seq
   RETURNING m.id`,
)

const writeFlip = statement(
  'checks_write_flips',
  `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason, processed_at, blind_from, blind_to, request_id, unheard_replica,
     unheard_from)
   SELECT check_id, seq, project_id, ${instant('at')}, "from", "to", reason,
     CASE WHEN silent THEN now() END, ${instant('blind_from')}, ${instant('blind_to')}, request_id, unheard_replica, ${instant('unheard_from')}
   FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::float8[], $5::text[], $6::text[], $7::text[], $8::boolean[], $9::float8[], $10::float8[],
     $11::text[], $12::text[], $13::float8[])
     AS f(check_id, seq, project_id, at, "from", "to", reason, silent, blind_from, blind_to, request_id, unheard_replica, unheard_from)`,
)

/**
 * The only statement that writes a status, with its flips in the same transaction. Compares and sets: throws if any of
 * the rows has changed since it was read.
 */
export async function writeChanges(tx: Queryable, changes: readonly DecidedChange[]): Promise<void> {
  const column = <T>(pick: (change: DecidedChange) => T): T[] => changes.map(pick)
  const written = await tx.query(write, [
    column((c) => c.check.id),
    column((c) => c.check.state.n),
    column((c) => c.check.state.flipSeq),
    column((c) => c.state.status),
    column((c) => c.state.n),
    column((c) => c.state.flipSeq),
    column((c) => c.state.lastPing),
    column((c) => c.state.lastStart),
    column((c) => c.state.lastStartRid),
    column((c) => c.state.lastDurationMs),
    column((c) => (c.state.openRuns.length === 0 ? null : JSON.stringify(c.state.openRuns))),
    column((c) => c.state.failures),
    column((c) => c.state.successes),
    column((c) => c.state.missed),
    column((c) => c.deadline),
    column((c) => c.lookAt),
    column((c) => c.unsettled?.from ?? null),
    column((c) => c.unsettled?.to ?? null),
  ])
  if (written.length !== changes.length) throw new Error('a check changed under its lock')

  const flips = changes.flatMap(({ check, flips }) => flips.map((flip) => ({ check, flip })))
  if (flips.length === 0) return
  await tx.query(writeFlip, [
    flips.map(({ check }) => check.id),
    flips.map(({ flip }) => flip.seq),
    flips.map(({ check }) => check.projectId),
    flips.map(({ flip }) => flip.at),
    flips.map(({ flip }) => flip.from),
    flips.map(({ flip }) => flip.to),
    flips.map(({ flip }) => flip.reason),
    flips.map(({ flip }) => flip.silent),
    flips.map(({ flip }) => flip.blind?.from ?? null),
    flips.map(({ flip }) => flip.blind?.to ?? null),
    flips.map(({ flip }) => flip.requestId ?? null),
    flips.map(({ flip }) => flip.unheard?.name ?? null),
    flips.map(({ flip }) => flip.unheard?.from ?? null),
  ])
}

const placeholder = ({ type }: AnyField, index: number) =>
  type?.sql === 'timestamptz' ? instant(`$${index}`) : `$${index}`
const valuesOf = (settings: Settings) => allFields.map(({ setting }) => settings[setting])

const insert = statement(
  'checks_insert',
  `INSERT INTO checks (id, project_id, badge_key, created_at, unique_key, status, ${allFields.map(({ column }) => column).join(', ')})
   VALUES ($1, $2, $3, ${instant('$4')}, $5, 'new', ${allFields.map((field, i) => placeholder(field, i + 6)).join(', ')})`,
)

export async function insertCheck(
  tx: Queryable,
  check: Omit<Check, 'state' | 'deadline' | 'lookAt' | 'unsettled'>,
): Promise<void> {
  const { id, projectId, badgeKey, createdAt, settings } = check
  await tx.query(insert, [id, projectId, badgeKey, createdAt, uniqueKey(id), ...valuesOf(settings)])
}

const update = statement(
  'checks_update',
  `UPDATE checks SET ${allFields.map((field, i) => `${field.column} = ${placeholder(field, i + 2)}`).join(', ')} WHERE id = $1`,
)

export async function updateSettings(tx: Queryable, id: string, settings: Settings): Promise<void> {
  await tx.query(update, [id, ...valuesOf(settings)])
}

const remove = statement('checks_remove', 'DELETE FROM checks WHERE id = $1 AND project_id = $2')
const endFlips = statement(
  'checks_end_flips',
  'UPDATE flips SET processed_at = now() WHERE check_id = $1 AND processed_at IS NULL',
)

/** Deletes the row. Its flips cause no more alerts, and the addresses stay reserved for the project. */
export async function deleteCheck(tx: Queryable, projectId: string, id: string): Promise<void> {
  await retireCheck(tx, projectId, id)
  await tx.query(remove, [id, projectId])
  await tx.query(endFlips, [id])
}

const removeFlips = statement('checks_delete_flips', 'DELETE FROM flips WHERE check_id = $1')

export async function deleteFlips(tx: Queryable, id: string): Promise<void> {
  await tx.query(removeFlips, [id])
}

const due = statement(
  'checks_due',
  { id: 'uuid' },
  `SELECT id FROM checks WHERE look_at <= ${instant('$1')} AND unsettled_to IS NULL ORDER BY look_at LIMIT $2`,
)

/** Ids of checks whose `look_at` has passed, the oldest first, without those whose history is to be evaluated again. */
export async function selectDue(on: Queryable, now: number, limit: number): Promise<string[]> {
  return (await on.query(due, [now, limit])).map(({ id }) => id)
}

const unsettled = statement(
  'checks_unsettled',
  { id: 'uuid' },
  `SELECT id FROM (
     SELECT id, unsettled_to, row_number() OVER (PARTITION BY project_id ORDER BY unsettled_to) AS turn FROM (
       SELECT id, project_id, unsettled_to FROM checks WHERE unsettled_to <= ${instant('$1')} ORDER BY unsettled_to LIMIT 5000) oldest) fair
   ORDER BY turn, unsettled_to LIMIT $2`,
)

/**
 * Ids of checks whose history can be evaluated again once the database holds all heartbeats until `through`; projects
 * take turns.
 */
export async function selectUnsettled(on: Queryable, through: number, limit: number): Promise<string[]> {
  return (await on.query(unsettled, [through, limit])).map(({ id }) => id)
}

const leaveUnsettled = statement(
  'checks_leave_unsettled',
  'UPDATE checks SET unsettled_from = NULL, unsettled_to = NULL WHERE id = $1',
)

/** A history that cannot be evaluated again stays as it is, so that it does not block the others. */
export async function clearUnsettled(on: Queryable, id: string): Promise<void> {
  await on.query(leaveUnsettled, [id])
}

const flipsSince = statement<Pick<Flip, 'seq' | 'at' | 'from' | 'to' | 'reason' | 'silent'> & { checkId: string }>(
  'checks_flips_since',
  { checkId: 'uuid', seq: 'int4', at: 'timestamptz', from: 'text', to: 'text', reason: 'text', silent: 'bool' },
  `SELECT f.check_id AS "checkId", f.seq, f.at, f."from", f."to", f.reason, f.processed_at IS NOT NULL AS silent
   FROM unnest($1::uuid[], $2::float8[]) AS m(id, since), LATERAL (
     SELECT * FROM flips WHERE check_id = m.id AND at >= ${instant('m.since')} ORDER BY seq DESC LIMIT $3) f
   ORDER BY f.seq`,
)

/** The recorded flips of each check since an instant, oldest first, at most the newest `limit` of each. */
export async function selectFlipsSince(
  tx: Queryable,
  checks: readonly { id: string; since: number }[],
  limit: number,
): Promise<Map<string, Flip[]>> {
  const rows = await tx.query(flipsSince, [checks.map(({ id }) => id), checks.map(({ since }) => since), limit])
  const ofCheck = Map.groupBy(rows, ({ checkId }) => checkId)
  return new Map(
    [...ofCheck].map(([id, flips]) => [id, flips.map(({ checkId: _, ...flip }) => ({ ...flip, blind: null }))]),
  )
}

const redate = statement(
  'checks_redate_flips',
  `UPDATE flips f SET at = ${instant('r.at')}, reason = r.reason
   FROM unnest($1::uuid[], $2::int[], $3::float8[], $4::text[]) AS r(id, seq, at, reason) WHERE f.check_id = r.id AND f.seq = r.seq`,
)

/** Gives recorded flips the dates and reasons that result from late heartbeats. */
export async function redateFlips(tx: Queryable, flips: readonly (Redated & { id: string })[]): Promise<void> {
  if (flips.length === 0) return
  const column = <T>(pick: (flip: Redated & { id: string }) => T): T[] => flips.map(pick)
  await tx.query(redate, [column((f) => f.id), column((f) => f.seq), column((f) => f.at), column((f) => f.reason)])
}

const lastFlip = statement(
  'checks_last_flip',
  { checkId: 'uuid', at: 'timestamptz' },
  `SELECT f.check_id AS "checkId", f.at FROM unnest($1::uuid[]) AS m(id), LATERAL (
     SELECT check_id, at FROM flips WHERE check_id = m.id ORDER BY seq DESC LIMIT 1) f`,
)

/** The time of the last flip of each check, by its id. */
export async function selectLastFlips(tx: Queryable, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map()
  const rows = await tx.query(lastFlip, [ids])
  return new Map(rows.map(({ checkId, at }) => [checkId, at]))
}

const counts = statement(
  'checks_counts',
  { status: 'text', count: 'int8' },
  'SELECT status, count(*) AS count FROM checks GROUP BY status',
)

export async function countByStatus(on: Queryable): Promise<{ status: string; count: number }[]> {
  return on.query(counts)
}

const lockProject = statement('checks_lock_project', 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))')

/** Serialises writes that depend on a read, within one project. Call it before any row is locked. */
export async function serialise(tx: Queryable, projectId: string): Promise<void> {
  await tx.query(lockProject, [`checks/${projectId}`])
}
