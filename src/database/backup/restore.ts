// Restores a backup into a database, in one transaction, and only if its checksum is right. The schema is first
// migrated to the version of the backup, and to the current one after the rows are in, so that later migrations see the
// data.

import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { requireSupportedServer } from '../connection/server-version.ts'
import { type Migration, migrate } from '../migrate.ts'
import {
  advanceSequence,
  BackupFileError,
  type BackupHeader,
  type BackupTable,
  clear,
  createPartition,
  inUse,
  readBackup,
} from './format.ts'

/** Refusals that the caller has to decide about or resolve. */
class RestoreRefusedError extends Error {
  override name = 'RestoreRefusedError'
}

export type RestoreOptions = {
  client: pg.Client
  source: AsyncIterable<Buffer>
  migrations: readonly Migration[]
  /** Whether to delete the existing data. */
  replace: boolean
}

const settings = `SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 5000;
  SET timezone = 'UTC'; SET datestyle = 'ISO'`

const newestMigration = `SELECT max(migration_name) AS name FROM _prisma_migrations WHERE rolled_back_at IS NULL`

const users = `SELECT count(*)::int AS count FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'flatline' AND pid <> pg_backend_pid()`

const columnsQuery = `SELECT c.relname AS name, array_agg(a.attname::text) AS columns FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND a.attnum > 0 AND NOT a.attisdropped AND c.relname NOT IN ('_prisma_migrations', 'schema_compatibility') GROUP BY 1`

/** Throws BackupFileError or RestoreRefusedError; then the database is unchanged. */
export async function restoreBackup(options: RestoreOptions): Promise<{ header: BackupHeader; rows: number }> {
  const { client, migrations } = options
  await client.query(settings)
  await requireSupportedServer(client)
  const restored = await restoreRows(options)
  await migrate(client, migrations)
  await client.query('ANALYZE')
  return restored
}

async function restoreRows({ client, source, migrations, replace }: RestoreOptions) {
  try {
    const restored = await readBackup(source, {
      begin: (header) => begin(client, header, migrations, replace),
      rows: (table, rows) => fill(client, table, rows),
    })
    await client.query('COMMIT')
    return restored
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

async function begin(
  client: pg.Client,
  header: BackupHeader,
  migrations: readonly Migration[],
  replace: boolean,
): Promise<void> {
  if (!migrations.some(({ name }) => name === header.migration)) {
    throw new BackupFileError(
      `was made by Flatline ${header.version} at migration ${header.migration}, which this version does not know: use that version or a newer one`,
    )
  }
  await refuseWhileInUse(client)
  const newest = await readNewest(client)
  if (newest > header.migration) {
    throw new RestoreRefusedError(
      `the database is at migration ${newest} and the backup at ${header.migration}: restore it into a new, empty database, where later migrations then see its data`,
    )
  }
  await migrate(
    client,
    migrations.filter(({ name }) => name <= header.migration),
  )
  await client.query('BEGIN')
  await makeRoom(client, header, replace)
}

async function makeRoom(client: pg.Client, { tables }: BackupHeader, replace: boolean): Promise<void> {
  const { rows: found } = await client.query<{ name: string; columns: string[] }>(columnsQuery)
  const known = new Map(found.map(({ name, columns }) => [name, columns]))
  for (const { name, columns } of tables) {
    const unknown = columns.find((column) => !known.get(name)?.includes(column))
    if (unknown !== undefined) throw new BackupFileError(`has ${name}.${unknown}, which the schema does not have`)
  }
  const names = [...known.keys()].map((name) => client.escapeIdentifier(name))
  await client.query(`LOCK TABLE ${names.join(', ')} IN ACCESS EXCLUSIVE MODE`).catch((error) => {
    throw error.code === '55P03'
      ? new RestoreRefusedError('the database is in use: first stop the programs that use it')
      : error
  })
  const { rows: use } = await client.query<{ found: boolean }>(`SELECT ${inUse} AS found`)
  if (use[0]?.found && !replace)
    throw new RestoreRefusedError('the database is not empty: --replace deletes all its data')
  await client.query(clear(found))
  for (const table of tables)
    for (const partition of table.partitions) await client.query(createPartition(table, partition))
}

/** Otherwise heartbeats would be accepted into a database that is about to be replaced. */
async function refuseWhileInUse(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ count: number }>(users)
  const count = rows[0]?.count ?? 0
  if (count > 0)
    throw new RestoreRefusedError(`a running Flatline has ${count} connections to this database: stop it first`)
}

async function readNewest(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string | null }>(newestMigration).catch((error) => {
    if (error.code !== '42P01') throw error
    return { rows: [] }
  })
  return rows[0]?.name ?? ''
}

async function fill(client: pg.Client, table: BackupTable, rows: AsyncIterable<Buffer>): Promise<void> {
  const list = table.columns.map((column) => client.escapeIdentifier(column)).join(', ')
  await pipeline(rows, client.query(copyFrom(`COPY ${client.escapeIdentifier(table.name)} (${list}) FROM STDIN`)))
  for (const column of table.counted) await client.query(advanceSequence(table, column))
}
