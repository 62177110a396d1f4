// Applies prisma/migrations with Prisma's own bookkeeping (table, checksum, advisory lock), so that `prisma migrate
// status` and `deploy` agree with it; Prisma's own command needs an engine binary that would not fit into the image.
// Any number of replicas may start at once: one migrates, the others wait for the lock and find nothing left to do.

import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'

/** An error that waiting cannot solve: a migration that was edited or failed, or a database that needs newer code. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}

export type Migration = { name: string; sql: string; checksum: string }

/** A migration that contains this line runs without a transaction (CREATE INDEX CONCURRENTLY needs that). */
const withoutTransaction = '-- flatline: without transaction'

/** The key that Prisma's own migrate command locks, so that the two exclude each other. */
const advisoryLockKey = 72707369
const lockPauseMs = 100

/**
 * A change of a table waits for the transactions that use it, for example a backup, and all later statements wait
 * behind the change. So it waits only this long, lets the others pass, and retries.
 */
const tableLockMs = 1000
const tableLockPauseMaxMs = 10_000
const lockNotAvailable = '55P03'

const createBookkeeping = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum VARCHAR(64) NOT NULL,
  finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL,
  logs TEXT,
  rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`

export function readMigrations(
  directory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url)),
): Migration[] {
  const names = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return names
    .map(({ name }) => {
      const sql = readFileSync(`${directory}/${name}/migration.sql`, 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export type MigrateOptions = {
  /** Cancels the waiting. */
  signal?: AbortSignal
  /** Called whenever a migration has to wait for transactions that use its tables. */
  blocked?: (migration: string, retryInMs: number) => void
  /** Called after each migration; the time includes its waiting. */
  applied?: (migration: string, ms: number) => void
}

/**
 * Migrates the database to this code's schema and returns the names of the applied migrations. Throws MigrationError.
 */
export async function migrate(
  client: pg.ClientBase,
  migrations: readonly Migration[],
  options: MigrateOptions = {},
): Promise<string[]> {
  await client.query('SET statement_timeout = 0')
  // A replica of the old version that restarts while the new one migrates must not wait for that to end.
  if (await hasAll(client, migrations)) {
    await checkCompatibility(client, migrations)
    return []
  }
  await lock(client, options.signal)
  try {
    await client.query(createBookkeeping)
    const pending = await pendingOf(client, migrations)
    for (const migration of pending) {
      const began = performance.now()
      await applyPatiently(client, migration, options)
      options.applied?.(migration.name, performance.now() - began)
    }
    await checkCompatibility(client, migrations)
    return pending.map(({ name }) => name)
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [advisoryLockKey]).catch(() => undefined)
  }
}

/** Whether each of them was applied, finished and has the checksum of the file here. */
async function hasAll(client: pg.ClientBase, migrations: readonly Migration[]): Promise<boolean> {
  const { rows: tables } = await client.query("SELECT 1 WHERE to_regclass('_prisma_migrations') IS NOT NULL")
  if (tables.length === 0) return false
  const { rows } = await client.query<{ migration_name: string; checksum: string }>(
    `SELECT migration_name, checksum FROM _prisma_migrations WHERE rolled_back_at IS NULL AND finished_at IS NOT NULL`,
  )
  const finished = new Map(rows.map((row) => [row.migration_name, row.checksum]))
  return migrations.every(({ name, checksum }) => finished.get(name) === checksum)
}

/** Polls: a statement that waits holds a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. */
async function lock(client: pg.ClientBase, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [
      advisoryLockKey,
    ])
    if (rows[0]?.locked) return
    signal?.throwIfAborted()
    await sleep(lockPauseMs)
  }
}

async function pendingOf(client: pg.ClientBase, migrations: readonly Migration[]): Promise<Migration[]> {
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished: boolean }>(
    `SELECT migration_name, checksum, finished_at IS NOT NULL AS finished
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  )
  // A failed migration of a later version does not concern this code, which does not use its result.
  const own = new Set(migrations.map(({ name }) => name))
  const failed = rows.find((row) => !row.finished && own.has(row.migration_name))
  if (failed) {
    throw new MigrationError(
      `migration ${failed.migration_name} failed earlier: repair the database, then delete its row from _prisma_migrations`,
    )
  }
  const applied = new Map(rows.map((row) => [row.migration_name, row.checksum]))
  const edited = migrations.find(({ name, checksum }) => applied.has(name) && applied.get(name) !== checksum)
  if (edited) {
    throw new MigrationError(`migration ${edited.name} was edited after it had been applied: restore its migration.sql`)
  }
  const first = migrations[0]?.name ?? ''
  const before = rows.find((row) => row.migration_name < first)
  if (before) {
    throw new MigrationError(
      `this database was made by a Flatline before 1.0.0 (migration ${before.migration_name}), whose migrations this version ` +
        'does not have: export the checks with that version (flatline export), and import them into an empty database',
    )
  }
  return migrations.filter(({ name }) => !applied.has(name))
}

async function applyPatiently(client: pg.ClientBase, migration: Migration, options: MigrateOptions): Promise<void> {
  for (let pauseMs = tableLockMs; ; pauseMs = Math.min(tableLockPauseMaxMs, pauseMs * 2)) {
    try {
      return await apply(client, migration)
    } catch (error) {
      if ((error as { code?: string }).code !== lockNotAvailable || options.signal?.aborted) throw error
      options.blocked?.(migration.name, pauseMs)
      await sleep(pauseMs, undefined, { ...(options.signal && { signal: options.signal }) })
    }
  }
}

async function apply(client: pg.ClientBase, { name, sql, checksum }: Migration): Promise<void> {
  const id = randomUUID()
  const begin = [
    'INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)',
    [id, checksum, name],
  ] as const
  const end = [
    'UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1 WHERE id = $1',
    [id],
  ] as const
  const atomic = !sql.includes(withoutTransaction)
  try {
    if (atomic) await client.query(`BEGIN; SET LOCAL lock_timeout = ${tableLockMs}`)
    await client.query(begin[0], [...begin[1]])
    await client.query(sql)
    await client.query(end[0], [...end[1]])
    if (atomic) await client.query('COMMIT')
  } catch (error) {
    if (atomic) await client.query('ROLLBACK').catch(() => undefined)
    // A retried migration must not be found half done.
    if (!atomic && isTransient(error))
      await client.query('DELETE FROM _prisma_migrations WHERE id = $1', [id]).catch(() => {})
    // A lost connection may recover; a statement that PostgreSQL refused will be refused again.
    if (/^[0-9A-Z]{5}$/.test((error as { code?: string }).code ?? '') && !isTransient(error)) {
      throw new MigrationError(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
    }
    throw error
  }
}

function isTransient(error: unknown): boolean {
  return /^(08|40|53|55P03|57P)/.test((error as { code?: string }).code ?? '')
}

/**
 * Migrations run before the previous version stops, so unknown later migrations are allowed, unless a contract
 * migration raised the minimum version of the code.
 */
async function checkCompatibility(client: pg.ClientBase, migrations: readonly Migration[]): Promise<void> {
  const { rows } = await client.query<{ min_compatible: string }>('SELECT min_compatible FROM schema_compatibility')
  const needed = rows[0]?.min_compatible ?? ''
  const newest = migrations.at(-1)?.name ?? ''
  if (newest < needed) {
    throw new MigrationError(
      `this database needs a newer Flatline: it requires migration ${needed}, the newest of this version is ${newest}`,
    )
  }
}
