import type { Queryable } from '../../database/connection/client.ts'
import type { Database } from '../../database/service.ts'
import { statement } from '../../database/sql.ts'

/** One day: `from` inclusive and `to` exclusive as `YYYY-MM-DD`. */
export type Day = { suffix: string; from: string; to: string }

const tables = ['heartbeats', 'heartbeat_bodies'] as const

const exists = statement('partitions_exists', { exists: 'bool' }, 'SELECT to_regclass($1) IS NOT NULL AS exists')
const serialise = statement('partitions_lock', "SELECT pg_advisory_xact_lock(hashtextextended('partitions', 0))")

/**
 * Creates a day's partitions unless they exist. A table is created on its own and then attached, which takes a lock
 * that allows inserts into the parent; CREATE TABLE … PARTITION OF would block them.
 */
export async function attachPartition(database: Database, { suffix, from, to }: Day): Promise<void> {
  const [row] = await database.query(exists, [`heartbeat_bodies_${suffix}`])
  if (row?.exists) return
  await database.transaction(async (tx) => {
    await tx.query(serialise)
    for (const table of tables) {
      const name = `${table}_${suffix}`
      const [made] = await tx.query(exists, [name])
      if (made?.exists) continue
      await tx.query({ name: `create_${name}`, text: `CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)` })
      const attach = `ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from}T00:00:00Z') TO ('${to}T00:00:00Z')`
      await tx.query({ name: `attach_${name}`, text: attach })
    }
  })
}

/** `state` is `attached`, `detaching` when that was broken off, or `detached`. */
export type DayPartition = { name: string; parent: string; state: 'attached' | 'detaching' | 'detached' }

const partitions = statement<DayPartition>(
  'partitions_of_days',
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
