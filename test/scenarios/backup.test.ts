import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import pg from 'pg'
import { restoreBackup } from '../../src/database/backup/restore.ts'
import { type Migration, migrate, readMigrations } from '../../src/database/migrate.ts'
import { kindsByContent } from '../database/contents.ts'
import { build, call, createReceiver, eventually, type Running, scratchDir } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'
import { flatline, run, start } from './command.ts'
import { startService } from './service.ts'

const secret = { ENCRYPTION_KEY: 'ab'.repeat(32) }

test('a backup under load has all that was answered before it, and moves with its secrets', async (t) => {
  const dataDir = await scratchDir(t)
  const service = await startService(t, { env: { DATA_DIR: dataDir, ...secret } })
  const receiver = await createReceiver(t)
  const check = (await call(service.url, 'POST', '/api/v3/checks/', { name: 'loaded', timeout: 60, grace: 60 })).json()
  const settings = { url: receiver.url, secret: 's3cret' }
  const channel = (
    await call(service.url, 'POST', '/api/v3/channels/', { kind: 'webhook', name: 'one', settings })
  ).json()

  const ping = new URL(String(check.ping_url)).pathname
  const answered: { body: string; at: number }[] = []
  let loading = true
  const load = Array.from({ length: 4 }, async (_, worker) => {
    for (let n = 0; loading; n++) {
      const body = `${worker}-${n}`
      assert.equal((await call(service.url, 'POST', ping, body, {})).status, 200)
      answered.push({ body, at: Date.now() })
    }
  })
  await eventually('some load', () => answered.length > 200)
  const file = join(dataDir, 'under-load.gz')
  const backup = await run(t, flatline('backup', file), { DATA_DIR: dataDir, ...secret })
  const during = answered.length
  await eventually('some more load', () => answered.length > during + 50)
  loading = false
  await Promise.all(load)
  assert.equal(backup.code, 0, backup.err)
  const at = Date.parse(/as of (\S+),/.exec(backup.err)?.[1] ?? '')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal(await service.stop(), 0)

  const url = await createDatabase(t, { empty: true })
  const restored = await run(t, flatline('restore', file), { DATABASE_URL: url, ...secret })
  assert.equal(restored.code, 0, restored.err)
  assert.doesNotMatch(restored.err, /WARNING/)
  const bodies = await sql<{ body: Buffer }>(url, 'SELECT body FROM heartbeat_bodies')
  const kept = new Set(bodies.map(({ body }) => body.toString()))
  const due = answered.filter((one) => one.at < at)
  assert.ok(due.length > 200 && kept.size < answered.length, 'the snapshot lies within the load')
  assert.deepEqual(
    due.filter(({ body }) => !kept.has(body)),
    [],
  )
  t.diagnostic(`${due.length} answered before the snapshot, ${kept.size} in the backup, ${answered.length} in all`)

  const moved = await startService(t, { env: { DATABASE_URL: url, ...secret } })
  const [found] = (await call(moved.url, 'GET', '/api/v3/checks/')).json().checks as Record<string, unknown>[]
  assert.deepEqual([found?.name, found?.status, found?.n_pings], ['loaded', 'up', kept.size])
  const told = await call(moved.url, 'POST', `/api/v3/channels/${channel.id}/test/`)
  assert.deepEqual(told.json(), { delivered: true, error: null })
  assert.equal((await call(moved.url, 'POST', ping, 'after', {})).status, 200)
})

test('every row of every table is restored as it was, also unusual values', async (t) => {
  const source = await build(t, secret)
  await fillWithOddities(source)
  const file = join(await scratchDir(t), 'backup.gz')
  await source.app.close()
  assert.equal((await run(t, flatline('backup', file), { DATABASE_URL: source.databaseUrl, ...secret })).code, 0)
  // Migrated but never used, which is empty, although migrations fill in rows of their own.
  const url = await createDatabase(t)
  const restored = await run(t, flatline('restore', file), { DATABASE_URL: url, ...secret })
  assert.equal(restored.code, 0, restored.err)
  assert.deepEqual(await kindsByContent(url), await kindsByContent(source.databaseUrl))
  assert.deepEqual(await partitionsOf(url), await partitionsOf(source.databaseUrl))
  const [entry] = await sql(url, "SELECT actor, target FROM audit WHERE action = 'database.restore'")
  assert.equal((entry as { actor: string }).actor, 'operator')

  // Existing data is only replaced on request, and then completely.
  const again = await run(t, flatline('restore', file), { DATABASE_URL: url, ...secret })
  assert.equal(again.code, 1)
  assert.match(again.err, /the database is not empty/)
  await sql(url, "UPDATE checks SET name = 'changed'")
  const replaced = await run(
    t,
    flatline('restore', '--replace', '-'),
    { DATABASE_URL: url, ...secret },
    await readFile(file),
  )
  assert.equal(replaced.code, 0, replaced.err)
  assert.deepEqual(await kindsByContent(url), await kindsByContent(source.databaseUrl))
})

test('a backup that cannot be restored is refused in one line, and changes nothing', async (t) => {
  const source = await build(t, secret)
  await fillWithOddities(source)
  const dir = await scratchDir(t)
  const env = { DATABASE_URL: source.databaseUrl, ...secret }
  const { code, out: whole } = await run(t, flatline('backup', '-'), env)
  assert.equal(code, 0)
  const text = gunzipSync(whole).toString()
  const files = {
    'short.gz': whole.subarray(0, whole.length / 2),
    'changed.gz': gzipSync(text.replace('COPY "projects"', 'COPY "project2"')),
    'row.gz': gzipSync(text.replace(/\tdefault\t/, '\tdefau1t\t')),
    'later.gz': gzipSync(text.replace(/"migration":"[^"]+"/, '"migration":"99990101000000_later"')),
    'other.gz': gzipSync('SELECT 1;\n'),
    'other.txt': Buffer.from('hello'),
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content)
  const running = await run(t, flatline('restore', '--replace', '-'), env, whole)
  assert.deepEqual([running.code, running.out.length], [1, 0])
  assert.match(
    running.err,
    /^flatline restore: a running Flatline has \d+ connections to this database: stop it first\n$/,
  )

  await source.app.close()
  const before = await kindsByContent(source.databaseUrl)
  const refusals: [string, RegExp][] = [
    ['short.gz', /short\.gz is damaged: unexpected end of file$/],
    ['changed.gz', /is damaged: the rows of projects are missing$/],
    ['row.gz', /is damaged: its SHA-256 is not what it was written with$/],
    ['later.gz', /is damaged: its SHA-256/],
    ['other.gz', /other\.gz is not a backup made by flatline backup$/],
    ['other.txt', /other\.txt is not a backup made by flatline backup$/],
    ['missing.gz', /no such file/],
  ]
  for (const [name, reason] of refusals) {
    const refused = await run(t, flatline('restore', '--replace', join(dir, name)), env)
    assert.equal(refused.code, 1, name)
    assert.match(refused.err.trimEnd(), reason)
    assert.equal(refused.err.trimEnd().split('\n').length, 1, refused.err)
  }
  // Standard input cannot be verified first: rows that were read before the damage are rolled back.
  const piped = await run(t, flatline('restore', '--replace', '-'), env, files['row.gz'])
  assert.match(piped.err, /is damaged: its SHA-256/)
  const later = await run(t, flatline('restore', '--replace', '-'), env, files['later.gz'])
  assert.match(later.err, /at migration 99990101000000_later, which this version does not know/)
  assert.deepEqual(await kindsByContent(source.databaseUrl), before)
})

test('a restore that is killed changes nothing', async (t) => {
  const source = await build(t, secret)
  await fillWithOddities(source)
  await source.app.close()
  const env = { DATABASE_URL: source.databaseUrl, ...secret }
  const { out } = await run(t, flatline('backup', '-'), env)
  const before = await kindsByContent(source.databaseUrl)
  const { child, ended } = start(t, flatline('restore', '--replace', '-'), env)
  child.stdin?.write(out.subarray(0, out.length - 40))
  const busy =
    "SELECT FROM pg_stat_activity WHERE application_name = 'flatline restore' AND state = 'idle in transaction'"
  await eventually('the restore to wait for more', async () => (await sql(source.databaseUrl, busy)).length > 0)
  child.kill('SIGKILL')
  await ended
  assert.deepEqual(await kindsByContent(source.databaseUrl), before)
})

test('a backup of an older version is restored with its own schema, and later migrations see its rows', async (t) => {
  const own = readMigrations()
  const later: Migration = {
    name: '29990101000000_later',
    sql: 'ALTER TABLE audit ADD COLUMN seen text; UPDATE audit SET seen = target',
    checksum: 'later',
  }
  const withDatabase = async <T>(url: string, work: (client: pg.Client) => Promise<T>) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    return work(client).finally(() => client.end())
  }
  const url = await createDatabase(t)
  await sql(url, "INSERT INTO audit (actor, action, target) VALUES ('system', 'old', 'row')")
  const old = await run(t, flatline('backup', '-'), { DATABASE_URL: url })
  assert.equal(old.code, 0, old.err)

  const target = await createDatabase(t, { empty: true })
  const source = Readable.from([gunzipSync(old.out)])
  await withDatabase(target, (client) => restoreBackup({ client, source, migrations: [...own, later], replace: false }))
  const names = await sql<{ name: string }>(target, 'SELECT migration_name AS name FROM _prisma_migrations ORDER BY 1')
  assert.deepEqual(
    names.map(({ name }) => name),
    [...own, later].map(({ name }) => name),
  )
  assert.deepEqual(await sql(target, "SELECT actor, target, seen FROM audit WHERE action = 'old'"), [
    { actor: 'system', target: 'row', seen: 'row' },
  ])

  const migrated = await createDatabase(t, { empty: true })
  await withDatabase(migrated, (client) => migrate(client, [...own, later]))
  const refused = await run(t, flatline('restore', '-'), { DATABASE_URL: migrated }, old.out)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /is at migration \S+ and the backup at \S+: restore it into a new, empty database/)
})

test('a restore with another key names the channels whose settings cannot be read', async (t) => {
  const source = await build(t, secret)
  await fillWithOddities(source)
  const { out } = await run(t, flatline('backup', '-'), { DATABASE_URL: source.databaseUrl, ...secret })
  const url = await createDatabase(t, { empty: true })
  const restored = await run(t, flatline('restore', '-'), { DATABASE_URL: url, ENCRYPTION_KEY: 'cd'.repeat(32) }, out)
  assert.equal(restored.code, 0)
  assert.match(restored.err, /WARNING: channels that cannot alert anybody, .* with a key that is not here: 1\./)
})

test('a backup overwrites no file, and leaves none behind when it is interrupted', async (t) => {
  const url = await createDatabase(t)
  const dir = await scratchDir(t)
  await writeFile(join(dir, 'taken.gz'), 'precious')
  const refused = await run(t, flatline('backup', join(dir, 'taken.gz')), { DATABASE_URL: url, ...secret })
  assert.equal(refused.code, 1)
  assert.match(refused.err, /taken\.gz exists already: name a new file/)
  assert.equal(await readFile(join(dir, 'taken.gz'), 'utf8'), 'precious')

  const named = await scratchDir(t)
  assert.equal((await run(t, flatline('backup', named), { DATABASE_URL: url, ...secret })).code, 0)
  assert.match((await readdir(named)).join(), /^flatline-\d{8}T\d{6}Z\.gz$/)

  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  await holder.query('BEGIN; LOCK TABLE checks IN ACCESS EXCLUSIVE MODE')
  const { child, ended } = start(t, flatline('backup', join(dir, 'new.gz')), { DATABASE_URL: url, ...secret })
  await eventually('the backup to wait', async () => (await readdir(dir)).some((name) => name.endsWith('.partial')))
  const waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'flatline backup' AND wait_event_type = 'Lock'"
  await eventually('the lock to be waited for', async () => (await sql(url, waiting)).length > 0)
  child.kill('SIGTERM')
  const { code, err } = await ended
  await holder.end()
  assert.deepEqual([code, err], [1, 'flatline backup: interrupted by SIGTERM\n'])
  assert.deepEqual(await readdir(dir), ['taken.gz'])
})

test('an embedded database that is not running is started for its backup and stopped again', async (t) => {
  const dataDir = await scratchDir(t)
  const service = await startService(t, { env: { DATA_DIR: dataDir, ...secret } })
  await call(service.url, 'POST', '/api/v3/checks/', { name: 'kept', timeout: 60, grace: 60 })
  // What a killed service leaves running belongs to nobody.
  await service.stop('SIGKILL')
  const { code, out, err } = await run(t, flatline('backup', '-'), { DATA_DIR: dataDir, ...secret })
  assert.equal(code, 0, err)
  await assert.rejects(stat(join(dataDir, 'postgres', 'postmaster.pid')), { code: 'ENOENT' })

  const other = await scratchDir(t)
  const restored = await run(t, flatline('restore', '-'), { DATA_DIR: other, ...secret }, out)
  assert.equal(restored.code, 0, restored.err)
  const moved = await startService(t, { env: { DATA_DIR: other, ...secret } })
  const { checks } = (await call(moved.url, 'GET', '/api/v3/checks/')).json()
  assert.deepEqual(
    (checks as { name: string }[]).map(({ name }) => name),
    ['kept'],
  )
  const inUse = await run(t, flatline('restore', '-'), { DATA_DIR: other, ...secret }, out)
  assert.equal(inUse.code, 1)
  assert.match(inUse.err, /^flatline restore: a running Flatline is using \S+: stop it first/)
  assert.equal(await moved.stop(), 0)

  await writeFile(join(other, 'postgres', 'PG_VERSION'), '17\n')
  const foreign = await run(t, flatline('backup', '-'), { DATA_DIR: other, ...secret })
  assert.equal(foreign.code, 1)
  assert.match(
    foreign.err,
    /^flatline backup: the database in \S+ was made by PostgreSQL 17, this Flatline brings PostgreSQL 18: .*\n$/,
  )
})

test('a backup of a missing database is refused', async (t) => {
  const nowhere = await run(t, flatline('backup', '-'), { DATA_DIR: await scratchDir(t) })
  assert.deepEqual([nowhere.code, nowhere.out.length], [1, 0])
  assert.match(nowhere.err, /^flatline backup: there is no database in /)
  const empty = await run(t, flatline('backup', '-'), { DATABASE_URL: await createDatabase(t, { empty: true }) })
  assert.match(empty.err, /there is nothing to back up: this database has never been migrated/)
  const unreachable = await run(t, flatline('backup', '-'), { DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/x' })
  assert.deepEqual(
    [unreachable.code, unreachable.err],
    [1, 'flatline backup: cannot reach the database: connect ECONNREFUSED 127.0.0.1:1\n'],
  )
})

async function fillWithOddities({ call, databaseUrl, url }: Running): Promise<void> {
  const odd = { name: '\\.', tags: 'ünï 💓', desc: 'tab\tline\nend\r\\N "quoted"', timeout: 60, grace: 60 }
  const { ping_url } = (await call('POST', '/api/v3/checks/', odd)).json()
  const { pathname } = new URL(String(ping_url))
  for (const body of [
    Buffer.from([0, 1, 10, 13, 92, 46, 10, 255]),
    Buffer.from('\\.\n'),
    Buffer.from('x'.repeat(90_000)),
  ])
    assert.equal((await fetch(url + pathname, { method: 'POST', body })).status, 200)
  await call('POST', `${pathname}/fail`, 'down', {})
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: 'http://127.0.0.1:9/' } })
  const detail = JSON.stringify({ text: '\\.\n\t', deep: [null, 1.5e300] })
  await sql(databaseUrl, "INSERT INTO audit (actor, action, target, detail) VALUES ('system', 'odd', '', $1)", [detail])
  await sql(
    databaseUrl,
    "INSERT INTO health_metrics (timestamp, metric_name, metric_value) VALUES (now(), 'odd', 0.1::float8 + 0.2)",
  )
}

async function partitionsOf(url: string): Promise<object[]> {
  const bounds = `SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound, array_agg(i.indexrelid::regclass::text) AS indexes
    FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid WHERE c.relispartition AND c.relkind = 'r' GROUP BY 1, 2 ORDER BY 1`
  return sql(url, bounds)
}
