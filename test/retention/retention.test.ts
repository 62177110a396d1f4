import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { deleteOldAudit } from '../../src/audit/store.ts'
import { deleteOldFlips } from '../../src/checks/listing-store.ts'
import type { Queryable } from '../../src/database/connection/client.ts'
import { PrismaClient } from '../../src/database/generated/client.ts'
import type { DeleteOld } from '../../src/database/old-rows.ts'
import { deleteOldSamples } from '../../src/health-metrics/store.ts'
import { deleteOldDeliveries } from '../../src/notifications/queue/deletion-store.ts'
import { createRetention, type RetentionDays } from '../../src/retention/service.ts'
import { build, eventually, type Running } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

const defaults: RetentionDays = {
  heartbeats: 400,
  flips: 400,
  deliveries: 90,
  audit: 400,
  health_metrics: 30,
  heartbeat_keys: 3,
  quarantined_heartbeats: 400,
  blind_windows: 800,
}
const quiet = { info() {}, warn() {} }
const going = new AbortController().signal

const insertions: Record<string, string> = {
  flips: `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason, noticed_at, processed_at)
    VALUES (gen_random_uuid(), 1, gen_random_uuid(), now(), 'up', 'down', $2, now() - $1::interval, now())`,
  unprocessed: `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason, noticed_at)
    VALUES (gen_random_uuid(), 1, gen_random_uuid(), now(), 'up', 'up', $2, now() - $1::interval)`,
  deliveries: `INSERT INTO deliveries (subject_id, id, project_id, channel_id, flip_seq, kind, status, detail, finished_at)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'down', 'sent', $2, now() - $1::interval)`,
  unfinished: `INSERT INTO deliveries (subject_id, id, project_id, channel_id, flip_seq, kind, status, detail, created_at, next_attempt_at)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'down', 'pending', $2, now() - $1::interval,
      now() + interval '1 day')`,
  audit: `INSERT INTO audit (at, actor, action, target) VALUES (now() - $1::interval, 'test', 'test', $2)`,
  health_metrics: `INSERT INTO health_metrics (timestamp, metric_name, metric_value, tags)
    VALUES (now() - $1::interval, 'monitors', 1, jsonb_build_object('node', $2::text))`,
  shutdowns: `INSERT INTO audit (at, actor, action, target, detail)
    VALUES (now() - $1::interval, 'system', 'service.shutdown', 'service', jsonb_build_object('cause', $2::text))`,
  quarantine: `INSERT INTO quarantined_heartbeats (id, quarantined_at, code, rule, payload)
    VALUES (gen_random_uuid(), now() - $1::interval, '', $2, ''::bytea)`,
  blind_windows: `INSERT INTO blind_windows (from_at, to_at) SELECT now() - $1::interval, now() - $1::interval + interval '1 second'
    WHERE $2 <> ''`,
}

const insert = (url: string, what: string, age: string) => sql(url, insertions[what] as string, [age, age])
const left = async (url: string, text: string) =>
  (await sql<{ mark: string }>(url, text)).map(({ mark }) => mark).sort()

/** What the service itself has removed, once its first sweep is done. */
async function removed(call: Running['call']): Promise<string[]> {
  const { text } = await call('GET', '/metrics', undefined, {})
  const counted = [...text.matchAll(/^retention_removed_total\{table="(\w+)"\} (\d+)$/gm)]
  // The last table that a sweep reaches.
  const done = counted.some(([, table]) => table === 'heartbeat_keys')
  return done ? counted.map(([, table, n]) => `${table} ${n}`) : []
}

test('everything older than its retention is removed, and nothing else', async (t) => {
  const databaseUrl = await createDatabase(t)
  const ages: [what: string, ages: string[]][] = [
    ['flips', ['399 days', '401 days']],
    ['deliveries', ['89 days', '91 days']],
    ['unfinished', ['100 days']],
    ['audit', ['399 days', '401 days']],
    ['health_metrics', ['29 days', '31 days']],
    ['shutdowns', ['300 days']],
    ['quarantine', ['399 days', '401 days']],
    ['blind_windows', ['799 days', '801 days']],
  ]
  for (const [what, all] of ages) for (const age of all) await insert(databaseUrl, what, age)
  const { app, call } = await build(t, { DATABASE_URL: databaseUrl })
  const told = await eventually('the sweep', async () => {
    const counted = await removed(call)
    return counted.length > 0 && counted
  })
  assert.deepEqual(told.sort(), [
    'audit 1',
    'blind_windows 1',
    'deliveries 1',
    'flips 1',
    'health_metrics 1',
    'heartbeat_keys 0',
    'heartbeats 0',
    'quarantined_heartbeats 1',
  ])
  assert.deepEqual(await left(databaseUrl, 'SELECT rule AS mark FROM quarantined_heartbeats'), ['399 days'])
  assert.deepEqual(await left(databaseUrl, 'SELECT reason AS mark FROM flips'), ['399 days'])
  assert.deepEqual(await left(databaseUrl, 'SELECT detail AS mark FROM deliveries'), ['100 days', '89 days'])
  assert.deepEqual(await left(databaseUrl, "SELECT target AS mark FROM audit WHERE actor = 'test'"), ['399 days'])
  assert.deepEqual(
    await left(
      databaseUrl,
      "SELECT tags->>'node' AS mark FROM health_metrics WHERE timestamp < now() - interval '1 day' AND metric_name = 'monitors'",
    ),
    ['29 days'],
  )
  assert.match(
    (await call('GET', '/metrics', undefined, {})).text,
    /^graceful_shutdowns_total\{reason="300 days"\} 1$/m,
  )
  await app.blindTime.record()
  assert.equal(app.blindTime.windows().length, 1)
})

test('the number of windows that a service reads does not grow with its restarts', async (t) => {
  const databaseUrl = await createDatabase(t)
  await sql(
    databaseUrl,
    `INSERT INTO blind_windows (from_at, to_at)
     SELECT now() - n * interval '10 seconds', now() - n * interval '10 seconds' + interval '1 second' FROM generate_series(1, 10020) n`,
  )
  const { app } = await build(t, { DATABASE_URL: databaseUrl })
  await eventually('the sweep', async () => {
    await app.blindTime.record()
    return app.blindTime.windows().length === 10_000
  })
})

test('rows are removed in batches, by one replica at a time, until the process ends', async (t) => {
  const databaseUrl = await createDatabase(t)
  const { app, call } = await build(t, { DATABASE_URL: databaseUrl })
  await eventually('the service has swept', async () => (await removed(call)).length > 0)
  for (let i = 0; i < 35; i++) await insert(databaseUrl, 'flips', '500 days')
  const batches: number[] = []
  const replica = () =>
    createRetention({
      database: app.database,
      days: defaults,
      batchMax: 10,
      log: quiet,
      count: (table, n) => table === 'flips' && batches.push(n),
    })
  const ended = new AbortController()
  ended.abort()
  await replica().sweep(ended.signal)
  assert.deepEqual(batches, [])
  await Promise.all([replica().sweep(going), replica().sweep(going)])
  assert.ok(batches.every((n) => n <= 10))
  await replica().sweep(going)
  assert.equal(
    batches.reduce((sum, n) => sum + n, 0),
    35,
  )
})

const dayBefore = (days: number) =>
  new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')

async function createDay(url: string, days: number): Promise<string> {
  const day = dayBefore(days)
  for (const table of ['heartbeats', 'heartbeat_bodies']) {
    await sql(
      url,
      `CREATE TABLE ${table}_${day} PARTITION OF ${table} FOR VALUES FROM ('${day}T00:00:00Z') TO ('${dayBefore(days - 1)}T00:00:00Z')`,
    )
  }
  return day
}

const partitionDays = async (url: string) =>
  new Set(
    (
      await sql<{ day: string }>(
        url,
        "SELECT right(relname, 8) AS day FROM pg_class WHERE relname ~ '^heartbeat.*_\\d{8}$'",
      )
    ).map(({ day }) => day),
  )

const sweepHeartbeats = ({ app }: Running, told: object[] = []) =>
  createRetention({
    database: app.database,
    days: defaults,
    count() {},
    log: { ...quiet, warn: (line: object) => told.push(line) },
  }).sweep(going)

test('heartbeats are removed by whole days, including the remains of a killed removal', async (t) => {
  const running = await build(t)
  const { databaseUrl } = running
  const kept = [await createDay(databaseUrl, 399), await createDay(databaseUrl, 400)]
  const old = [await createDay(databaseUrl, 401), await createDay(databaseUrl, 402), await createDay(databaseUrl, 900)]
  // The process was killed between taking the day off and dropping it.
  await sql(databaseUrl, `ALTER TABLE heartbeats DETACH PARTITION heartbeats_${old[1]}`)
  await sweepHeartbeats(running)
  const days = await partitionDays(databaseUrl)
  assert.deepEqual(
    kept.map((day) => days.has(day)),
    [true, true],
  )
  assert.deepEqual(
    old.map((day) => days.has(day)),
    [false, false, false],
  )
})

test('a backup that reads all heartbeats delays their removal, and no heartbeat waits for it', async (t) => {
  const running = await build(t, { FLATLINE__DATABASE__STATEMENT_TIMEOUT_MS: '1500' })
  const { databaseUrl, call } = running
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const old = [await createDay(databaseUrl, 500), await createDay(databaseUrl, 501)]
  const backup = new pg.Client({ connectionString: databaseUrl })
  backup.on('error', () => {})
  await backup.connect()
  await backup.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM heartbeats')

  const told: { event?: string; code?: string }[] = []
  let swept = false
  const sweeping = sweepHeartbeats(running, told).then(() => {
    swept = true
  })
  let beats = 0
  while (!swept) {
    assert.equal((await call('GET', `/ping/${uuid}`, undefined, {})).status, 200)
    assert.equal((await call('GET', `/api/v3/checks/${uuid}/pings/`)).status, 200)
    beats++
  }
  await sweeping
  assert.ok(beats > 5, 'heartbeats are written and read all the while')
  assert.ok(told.length > 0 && told.every(({ event, code }) => event === 'retention.delayed' && code))

  await backup.end()
  await sweepHeartbeats(running)
  const days = await partitionDays(databaseUrl)
  assert.deepEqual(
    old.map((day) => days.has(day)),
    [false, false],
  )
  const { n_pings } = (await call('GET', `/api/v3/checks/${uuid}`)).json()
  assert.equal(n_pings, beats)
})

const many: [table: string, deletion: DeleteOld][] = [
  ['flips', deleteOldFlips],
  ['deliveries', deleteOldDeliveries],
  ['audit', deleteOldAudit],
]

async function insertMany(url: string, table: string, rows: string): Promise<void> {
  const text = rows.replace('VALUES (', 'SELECT ').replace(/\)$/, ' FROM generate_series(1, 3000)')
  await sql(url, text, ['1 hour', 'young'])
  await sql(url, `ANALYZE ${table}`)
}

/** The statement that deletes the oldest rows of a table. */
async function textOf(deletion: DeleteOld): Promise<string> {
  const texts: string[] = []
  const tx: Queryable = {
    async query({ text }) {
      texts.push(text)
      return []
    },
  }
  await deletion(tx, 0, 0)
  return String(texts[0])
}

test('a status change whose alerts are not sent yet is kept, however old it is', async (t) => {
  const databaseUrl = await createDatabase(t)
  for (const what of ['flips', 'unprocessed']) await insert(databaseUrl, what, '500 days')
  await sql(databaseUrl, await textOf(deleteOldFlips), [Date.now(), 5000])
  assert.equal((await sql(databaseUrl, 'SELECT 1 FROM flips WHERE processed_at IS NULL')).length, 1)
  assert.equal((await sql(databaseUrl, 'SELECT 1 FROM flips')).length, 1)
})

test('old rows are found by an index: a sweep costs what it removes, not what stays', async (t) => {
  const databaseUrl = await createDatabase(t)
  for (const [table, deletion] of many) {
    await insertMany(databaseUrl, table, insertions[table] as string)
    const plan = JSON.stringify(
      await sql(databaseUrl, `EXPLAIN ${await textOf(deletion)}`, [Date.now() - 86_400_000, 5000]),
    )
    assert.doesNotMatch(plan, new RegExp(`Seq Scan on ${table}`), plan)
  }
})

test('old samples are found by an index, however many recent ones there are', async (t) => {
  const databaseUrl = await createDatabase(t)
  const pool = new pg.Pool({ connectionString: databaseUrl })
  pool.on('error', () => {})
  await insert(databaseUrl, 'health_metrics', '31 days')
  await insertMany(databaseUrl, 'health_metrics', insertions.health_metrics as string)
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool), log: [{ emit: 'event', level: 'query' }] })
  const queries: { query: string; params: string }[] = []
  prisma.$on('query', (event) => queries.push(event))
  assert.equal(await deleteOldSamples(prisma, new Date(Date.now() - 30 * 86_400_000), 5000), 1)
  await pool.end()
  const onTable = queries.filter(({ query }) => query.includes('health_metrics') && !query.includes('lock'))
  assert.ok(onTable.some(({ query }) => query.startsWith('DELETE')))
  for (const { query, params } of onTable) {
    const plan = JSON.stringify(await sql(databaseUrl, `EXPLAIN ${query}`, JSON.parse(params)))
    assert.doesNotMatch(plan, /Seq Scan on health_metrics/, plan)
  }
})
