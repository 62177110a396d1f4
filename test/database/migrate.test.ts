import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { type Migration, MigrationError, migrate, readMigrations } from '../../src/database/migrate.ts'
import { eventually } from '../helper.ts'
import { within } from '../patience.ts'
import { createDatabase, sql } from '../postgres.ts'

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const migration = (name: string, text: string, checksum = name): Migration => ({ name, sql: text, checksum })
const compatible =
  "CREATE TABLE schema_compatibility (min_compatible text); INSERT INTO schema_compatibility VALUES ('1');"

test('ten instances that migrate an empty database at once all succeed, and each migration runs once', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const all = readMigrations()
  const applied = await Promise.all(Array.from({ length: 10 }, () => withClient(url, (client) => migrate(client, all))))
  assert.deepEqual(applied.flat().sort(), all.map(({ name }) => name).sort())
})

test('the bookkeeping is that of prisma migrate: its table, one finished row each, a SHA-256 of the file', async (t) => {
  const url = await createDatabase(t)
  const rows = await sql<{ migration_name: string; checksum: string; finished_at: Date | null; steps: number }>(
    url,
    'SELECT migration_name, checksum, finished_at, applied_steps_count AS steps FROM _prisma_migrations ORDER BY 1',
  )
  assert.deepEqual(
    rows.map(({ migration_name, checksum, steps }) => ({ migration_name, checksum, steps })),
    readMigrations().map(({ name, checksum }) => ({ migration_name: name, checksum, steps: 1 })),
  )
  assert.ok(rows.every(({ finished_at }) => finished_at !== null))
})

test('an edited migration stops the start with its name', async (t) => {
  const url = await createDatabase(t)
  const edited = readMigrations().map((one) => ({ ...one, checksum: 'other' }))
  await assert.rejects(
    withClient(url, (client) => migrate(client, edited)),
    (error: Error) => {
      assert.ok(error instanceof MigrationError)
      return /was edited after it had been applied/.test(error.message)
    },
  )
})

test('a database of an unreleased version is refused with its oldest migration and a solution', async (t) => {
  const url = await createDatabase(t, { empty: true })
  await withClient(url, (client) => migrate(client, [migration('1', compatible)]))
  await assert.rejects(
    withClient(url, (client) => migrate(client, [migration('2', 'SELECT 1')])),
    (error: Error) => {
      assert.ok(error instanceof MigrationError)
      return /made by a Flatline before 1\.0\.0 \(migration 1\).*flatline export/.test(error.message)
    },
  )
})

test('a migration that fails leaves nothing behind, and the error says why', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const all = [migration('1', compatible), migration('2', 'CREATE TABLE half (id int); SELECT nonsense()')]
  await assert.rejects(
    withClient(url, (client) => migrate(client, all)),
    /migration 2 failed: function nonsense\(\) does not exist/,
  )
  const [row] = await sql<{ half: string | null }>(url, "SELECT to_regclass('half') AS half")
  assert.equal(row?.half, null)
})

test('a migration without a transaction that failed stops every later start until it is repaired', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const text = '-- flatline: without transaction\nSELECT nonsense()'
  const all = [migration('1', compatible), migration('2', text)]
  await assert.rejects(
    withClient(url, (client) => migrate(client, all)),
    /migration 2 failed: /,
  )
  await assert.rejects(
    withClient(url, (client) => migrate(client, all)),
    /migration 2 failed earlier/,
  )
})

test('a failed migration of a later version does not prevent this version from starting', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const old = [migration('1', compatible), migration('2', 'SELECT 1')]
  const later = migration('3', '-- flatline: without transaction\nSELECT nonsense()')
  await assert.rejects(withClient(url, (client) => migrate(client, [old[0] as Migration, later])))
  assert.deepEqual(await withClient(url, (client) => migrate(client, old)), ['2'])
})

test('a fully migrated version does not wait for a running migration of a later version', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const old = [migration('1', compatible)]
  await withClient(url, (client) => migrate(client, old))
  await withClient(url, async (holder) => {
    await holder.query('SELECT pg_advisory_lock(1)')
    let blocked = 0
    const long = migration('2', 'SELECT pg_advisory_xact_lock(1)')
    const later = withClient(url, (client) => migrate(client, [...old, long], { blocked: () => blocked++ }))
    await eventually('the later one to be under way', () => blocked > 0)
    assert.deepEqual(await withClient(url, (client) => migrate(client, old)), [])
    await holder.query('SELECT pg_advisory_unlock(1)')
    assert.deepEqual(await later, ['2'])
  })
})

test('a migration that waits for a long transaction blocks nothing else and finally succeeds', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const all = [migration('1', `${compatible} CREATE TABLE used (id int)`)]
  await withClient(url, (client) => migrate(client, all))
  await withClient(url, async (backup) => {
    await backup.query('BEGIN; SELECT * FROM used')
    let blocked = 0
    const change = migration('2', 'ALTER TABLE used ADD COLUMN name text')
    const applied = withClient(url, (client) => migrate(client, [...all, change], { blocked: () => blocked++ }))
    while (blocked < 2) {
      // The others wait for a moment only: the backup, which the migration waits for, goes on until they have all passed.
      await within('a reader', sql(url, 'SELECT * FROM used'))
    }
    await backup.query('COMMIT')
    assert.deepEqual(await applied, ['2'])
  })
})

test('migrations of a later version are accepted, unless the database asks for newer code', async (t) => {
  const url = await createDatabase(t, { empty: true })
  const old = [migration('1', compatible)]
  await withClient(url, (client) => migrate(client, [...old, migration('2', 'SELECT 1')]))
  assert.deepEqual(await withClient(url, (client) => migrate(client, old)), [])
  await sql(url, "UPDATE schema_compatibility SET min_compatible = '2'")
  await assert.rejects(
    withClient(url, (client) => migrate(client, old)),
    /needs a newer Flatline/,
  )
})
