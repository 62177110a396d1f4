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
