// What is old is found by an index, and deleted in batches. Days in epoch milliseconds.

import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'

const until = 'to_timestamp($1::float8 / 1000)'

/** Deletes the oldest from before $1, at most $2. */
const deletions = {
  flips: statement(
    'retention_flips',
    { gone: 'int4' },
    `DELETE FROM flips WHERE (check_id, seq) IN (
       SELECT check_id, seq FROM flips WHERE noticed_at < ${until} AND processed_at IS NOT NULL
       ORDER BY noticed_at LIMIT $2) RETURNING 1 AS gone`,
  ),
  deliveries: statement(
    'retention_deliveries',
    { gone: 'int4' },
    `DELETE FROM deliveries WHERE (subject_id, id) IN (
       SELECT subject_id, id FROM deliveries WHERE finished_at < ${until} ORDER BY finished_at LIMIT $2) RETURNING 1 AS gone`,
  ),
  audit: statement(
    'retention_audit',
    { gone: 'int4' },
    `DELETE FROM audit WHERE id = ANY(ARRAY(SELECT id FROM audit WHERE at < ${until} ORDER BY at LIMIT $2)) RETURNING 1 AS gone`,
  ),
  heartbeat_keys: statement(
    'retention_heartbeat_keys',
    { gone: 'int4' },
    `DELETE FROM heartbeat_keys WHERE (check_id, key) IN (
       SELECT check_id, key FROM heartbeat_keys WHERE recorded_at < ${until} ORDER BY recorded_at LIMIT $2) RETURNING 1 AS gone`,
  ),
  quarantined_heartbeats: statement(
    'retention_quarantined_heartbeats',
    { gone: 'int4' },
    `DELETE FROM quarantined_heartbeats WHERE id IN (
       SELECT id FROM quarantined_heartbeats WHERE quarantined_at < ${until} ORDER BY quarantined_at LIMIT $2) RETURNING 1 AS gone`,
  ),
  // All of them are read twice a second, and a service that is restarted over and over makes one each time.
  blind_windows: statement(
    'retention_blind_windows',
    { gone: 'int4' },
    `DELETE FROM blind_windows WHERE from_at IN (
       SELECT from_at FROM blind_windows
       WHERE to_at < ${until} OR from_at <= (SELECT from_at FROM blind_windows ORDER BY from_at DESC OFFSET 10000 LIMIT 1)
       ORDER BY from_at LIMIT $2) RETURNING 1 AS gone`,
  ),
}

/** Tables of which old rows are deleted; those with partitions lose these. */
export type SweptTable = keyof typeof deletions

const tryLock = statement(
  'retention_lock',
  { locked: 'bool' },
  'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked',
)

/** Deletes at most `limit` of the oldest rows from before `before`; returns how many. None if another replica is at it. */
export async function deleteOld(tx: Queryable, table: SweptTable, before: number, limit: number): Promise<number> {
  const [row] = await tx.query(tryLock, [`retention/${table}`])
  return row?.locked ? (await tx.query(deletions[table], [before, limit])).length : 0
}

const usage = statement('retention_body_usage', 'DELETE FROM body_usage WHERE day < $1::date')

/** Deletes the counts of days before `firstDay` (`YYYYMMDD`), whose bodies are deleted. */
export async function deleteUsageBefore(on: Queryable, firstDay: string): Promise<void> {
  await on.query(usage, [firstDay])
}

/** `state` is `attached`, `detaching` when that was broken off, or `detached`. */
export type DayPartition = { name: string; parent: string; state: 'attached' | 'detaching' | 'detached' }

const partitions = statement<DayPartition>(
  'retention_partitions',
  { name: 'text', parent: 'text', state: 'text' },
  `SELECT c.relname::text AS name, regexp_replace(c.relname, '_\\d+$', '') AS parent,
     CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'detaching' ELSE 'attached' END AS state
   FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
   WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'heartbeats'::regclass)
     AND c.relname ~ '^heartbeat(s|_bodies)_\\d{8}$'`,
)

/** Day partitions of heartbeats and bodies whose day is before `firstDay`, `YYYYMMDD`; the oldest first. */
export async function selectPartitionsBefore(on: Queryable, firstDay: string): Promise<DayPartition[]> {
  const all = await on.query(partitions)
  return all
    .filter(({ name }) => name.slice(-8) < firstDay)
    .sort((a, b) => (a.name.slice(-8) < b.name.slice(-8) ? -1 : 1))
}

/**
 * Takes a partition off its table without a lock that inserts or queries would wait for, and drops it. Rejects while something still
 * reads it, a backup for instance; then the rest can be done later.
 */
export async function dropPartition(on: Queryable, { name, parent, state }: DayPartition): Promise<void> {
  if (state !== 'detached') {
    const how = state === 'attached' ? 'CONCURRENTLY' : 'FINALIZE'
    await on.query({ name: `detach_${name}`, text: `ALTER TABLE ${parent} DETACH PARTITION ${name} ${how}` })
  }
  await on.query({ name: `drop_${name}`, text: `DROP TABLE IF EXISTS ${name}` })
}
