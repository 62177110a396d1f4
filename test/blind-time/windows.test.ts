import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { createBlindTime } from '../../src/blind-time/service.ts'
import { createClock } from '../../src/database/clock.ts'
import { createClient } from '../../src/database/connection/client.ts'
import type { Database } from '../../src/database/service.ts'
import { build } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

type Window = { from_at: Date; to_at: Date }

const lastRecord = (url: string, age: string) =>
  sql(url, 'INSERT INTO acceptance (id, previous_at, until_at) VALUES (1, now(), now() - $1::interval)', [age])
const windows = (url: string) => sql<Window>(url, 'SELECT * FROM blind_windows ORDER BY from_at')

test('a first start records no blind window', async (t) => {
  const { databaseUrl } = await build(t)
  assert.deepEqual(await windows(databaseUrl), [])
})

test('a restart of one second makes one blind window, exact to the millisecond', async (t) => {
  const databaseUrl = await createDatabase(t)
  await lastRecord(databaseUrl, '1 second')
  const [before] = await sql<{ until_at: Date }>(databaseUrl, 'SELECT until_at FROM acceptance')
  const first = await build(t, { DATABASE_URL: databaseUrl })
  const found = await windows(databaseUrl)
  assert.equal(found.length, 1)
  assert.deepEqual(found[0]?.from_at, before?.until_at)
  assert.ok((found[0]?.to_at.getTime() ?? 0) - (found[0]?.from_at.getTime() ?? 0) >= 1000)
  await build(t, { DATABASE_URL: databaseUrl })
  assert.equal((await windows(databaseUrl)).length, 1, 'a second replica finds no gap')
  assert.equal(first.app.blindTime.windows().length, 1)
})

test('replicas that find the same gap at once write one window, and all of them know it', async (t) => {
  const { app, databaseUrl } = await build(t)
  const others = await Promise.all([1, 2, 3].map(() => build(t, { DATABASE_URL: databaseUrl })))
  const apps = [app, ...others.map((other) => other.app)]
  await sql(databaseUrl, "UPDATE acceptance SET until_at = now() - interval '1 hour'")
  await Promise.all(apps.map(({ blindTime }) => blindTime.record()))
  const length = ({ from_at, to_at }: Window) => to_at.getTime() - from_at.getTime()
  assert.equal((await windows(databaseUrl)).filter((window) => length(window) > 3_000_000).length, 1)
  await Promise.all(apps.map(({ blindTime }) => blindTime.record()))
  for (const { blindTime } of apps) assert.ok(blindTime.windows().some(({ from, to }) => to - from > 3_000_000))
})

/** The record of a process whose monotonic clock the test moves, on the database's own clock. */
async function recorder(t: TestContext) {
  const databaseUrl = await createDatabase(t)
  const limits = { poolMax: 4, connectTimeoutMs: 5000, statementTimeoutMs: 5000, idleTimeoutMs: 5000 }
  const hooks = { connectionLost() {}, statement() {}, guard: <T>(work: () => Promise<T>) => work() }
  const client = createClient({ connection: { connectionString: databaseUrl }, ...limits }, hooks)
  t.after(() => client.close())
  let monotonic = 0
  const clock = createClock(() => monotonic)
  const database = { query: client.query, transaction: client.transaction, clock } as unknown as Database
  const patience = { afterOutageMs: 300_000, unheardMs: 60_000 }
  const blindTime = createBlindTime({ database, blindAfterMs: 2000, acceptanceIntervalMs: 500, patience })
  return { blindTime, clock, databaseUrl, pass: (ms: number) => (monotonic += ms) }
}

test('a clock that was set or a machine that slept leaves a window, however long was accepted before', async (t) => {
  const { blindTime, databaseUrl, pass } = await recorder(t)
  for (let n = 0; n < 40; n++) {
    await blindTime.record()
    pass(500)
  }
  assert.deepEqual(await windows(databaseUrl), [])
  await sql(databaseUrl, "UPDATE acceptance SET until_at = until_at - interval '10 seconds'")
  await blindTime.record()
  const [window] = blindTime.windows()
  assert.ok(window, 'the last twenty seconds were accepted, by a clock that had not been set')
  assert.ok(window.to - window.from >= 9000, `${window.to - window.from}`)
})

test('a later outage of the database does not remove the window of a clock that was set before it', async (t) => {
  const { blindTime, databaseUrl, pass } = await recorder(t)
  for (let n = 0; n < 20; n++, pass(500)) await blindTime.record()
  await sql(
    databaseUrl,
    "INSERT INTO blind_windows (from_at, to_at) VALUES (now() - interval '9 seconds', now() - interval '6 seconds')",
  )
  for (let n = 0; n < 8; n++, pass(500)) blindTime.accepted()
  await blindTime.record()
  assert.equal((await windows(databaseUrl)).length, 1)
})

test('no wait includes future windows that a clock left which was set back', async (t) => {
  const { blindTime, databaseUrl } = await recorder(t)
  await blindTime.record()
  await sql(
    databaseUrl,
    `INSERT INTO blind_windows (from_at, to_at) VALUES (now() - interval '3 minutes', now() - interval '2 minutes'),
       (now() - interval '1 minute', now() + interval '2 days'), (now() + interval '3 days', now() + interval '4 days')`,
  )
  await blindTime.record()
  const now = Date.now()
  assert.equal(blindTime.windows().length, 2)
  assert.ok(blindTime.windows().every(({ to }) => to <= now + 1000))
  const kept = await windows(databaseUrl)
  assert.deepEqual(
    kept.map(({ to_at }) => to_at.getTime()),
    blindTime.windows().map(({ to }) => to),
  )
})

test('after a step of the clock no deadline is applied before the windows are read again', async (t) => {
  const { blindTime, clock, pass } = await recorder(t)
  await blindTime.record()
  assert.equal(blindTime.isCurrent(), true)
  pass(100)
  clock.correct(clock.now() + 60_000, 100, 100)
  assert.equal(blindTime.isCurrent(), false)
  pass(100)
  await blindTime.record()
  assert.equal(blindTime.isCurrent(), true)
})

test('before the first record it is unknown whether other replicas exist', async (t) => {
  const { blindTime } = await recorder(t)
  const nobody = {
    canSpool: true,
    spools: () => false,
    oldestWaiting: () => null,
    address: () => null,
    tokenHash: null,
  }
  blindTime.reportAs({ id: randomUUID(), name: 'one', ...nobody })
  assert.equal(blindTime.mayHavePeers(), true)
  await blindTime.record()
  assert.equal(blindTime.mayHavePeers(), false)
})
