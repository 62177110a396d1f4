// Takes a backup with COPY, from one snapshot, while the service runs: it only holds the right to read the tables. Rows
// that the migrations write are not part of it, because a restore runs the migrations.

import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { type BackupHeader, type BackupTable, writeBackup } from './format.ts'

export type BackupSummary = { header: BackupHeader; rows: number }

/** For a vacuum or a schema change in progress. */
const lockTimeoutMs = 30_000

const settings = `SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = ${lockTimeoutMs};
  SET timezone = 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'; SET extra_float_digits = 3`

const newestMigration = `SELECT max(migration_name) AS name FROM _prisma_migrations
  WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`

const tablesQuery = `SELECT c.relname AS name,
    (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL ORDER BY a.attnum) AS counted,
    (SELECT coalesce(json_agg(json_build_object('name', p.relname, 'bound', pg_get_expr(p.relpartbound, p.oid)) ORDER BY p.relname), '[]')
     FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid WHERE i.inhparent = c.oid AND p.relispartition AND p.relkind = 'r') AS partitions,
    ARRAY(SELECT DISTINCT t.relname::text FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid
      WHERE k.conrelid = c.oid AND k.contype = 'f' AND t.oid <> c.oid) AS parents
  FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relname NOT IN ('_prisma_migrations', 'schema_compatibility')
  ORDER BY c.relname`

type FoundTable = BackupTable & { parents: string[] }

/** Yields the file's text. `done` is called before the end of it. */
export async function* takeBackup(
  client: pg.Client,
  version: string,
  done: (summary: BackupSummary) => void,
): AsyncGenerator<Buffer> {
  await client.query(settings)
  const migration = await readMigration(client)
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const { rows: found } = await client.query<FoundTable>(tablesQuery)
  const tables = parentsFirst(found)
  await client.query(
    `LOCK TABLE ${tables.map(({ name }) => client.escapeIdentifier(name)).join(', ')} IN ACCESS SHARE MODE`,
  )
  const { rows: clock } = await client.query<{ at: string }>(
    `SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"') AS at`,
  )
  const header: BackupHeader = { format: 1, at: clock[0]?.at ?? '', version, migration, tables }
  let rows = 0
  yield* writeBackup(
    header,
    (table) => client.query(copyTo(copyStatement(client, table))),
    (_table, count) => {
      rows += count
    },
  )
  await client.query('COMMIT')
  done({ header, rows })
}

async function readMigration(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string | null }>(newestMigration).catch((error) => {
    if (error.code !== '42P01') throw error
    return { rows: [] }
  })
  const name = rows[0]?.name
  if (name) return name
  throw new Error('there is nothing to back up: this database has never been migrated')
}

/** A partitioned table cannot be copied by its name. */
function copyStatement(client: pg.Client, { name, columns }: BackupTable): string {
  const list = columns.map((column) => client.escapeIdentifier(column)).join(', ')
  return `COPY (SELECT ${list} FROM ${client.escapeIdentifier(name)}) TO STDOUT`
}

function parentsFirst(found: FoundTable[]): BackupTable[] {
  const sorted = new Map<string, BackupTable>()
  const waiting = new Map(found.map((table) => [table.name, table]))
  while (waiting.size > 0) {
    const next = [...waiting.values()].find(({ parents }) => parents.every((parent) => !waiting.has(parent)))
    if (next === undefined) throw new Error(`tables refer to each other in a cycle: ${[...waiting.keys()].join(', ')}`)
    const { parents: _, ...table } = next
    waiting.delete(next.name)
    sorted.set(next.name, table)
  }
  return [...sorted.values()]
}
