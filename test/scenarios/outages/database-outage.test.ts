// PostgreSQL goes away under load and comes back; the service keeps running. Afterwards the database contains exactly
// what was acknowledged.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { call, eventually, scratchDir } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'
import { ownPostgres } from './own-postgres.ts'

/** Sends pings from `clients` at once, one after the other each, until it is stopped; counts answers by status and path. */
function sendPings(url: string, paths: readonly string[], clients: number) {
  const answers = new Map<string, number>()
  const acknowledged = new Map<string, number>()
  const refused = new Map<string, number>()
  let stopped = false
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1)
  const client = async (first: number) => {
    for (let i = first; !stopped; i++) {
      const path = paths[i % paths.length] as string
      const response = await fetch(url + path).catch(() => null)
      await response?.arrayBuffer()
      const status = String(response?.status ?? 'broken')
      count(answers, status)
      count(status === '200' ? acknowledged : refused, path)
    }
  }
  const running = Promise.all(Array.from({ length: clients }, (_, i) => client(i)))
  return {
    answers,
    acknowledged,
    refused,
    answered: (status: string) => answers.get(status) ?? 0,
    async stop() {
      stopped = true
      await running
    },
  }
}

async function createChecks(service: Service, count: number): Promise<{ uuid: string; path: string }[]> {
  const made = Array.from({ length: count }, async (_, i) => {
    const answer = await call(service.url, 'POST', '/api/v3/checks/', { name: `job ${i}`, timeout: 3600, grace: 3600 })
    const { uuid, ping_url } = answer.json()
    return { uuid: String(uuid), path: new URL(String(ping_url)).pathname }
  })
  return Promise.all(made)
}

async function stored(url: string): Promise<Map<string, number>> {
  const rows = await sql<{ id: string; n: string; kept: string }>(
    url,
    `SELECT m.id, m.n, (SELECT count(*) FROM heartbeats h WHERE h.check_id = m.id) AS kept FROM checks m`,
  )
  for (const { id, n, kept } of rows) assert.equal(n, kept, `${id}: as many rows as its counter says`)
  return new Map(rows.map(({ id, n }) => [id, Number(n)]))
}

test('without a spool acknowledged pings are stored although PostgreSQL restarts twice under load', async (t) => {
  const postgres = await ownPostgres(t)
  const service = await startService(t, { env: { DATABASE_URL: postgres.url, INGEST_MODE: 'consistent' } })
  const { pid } = service.child
  const checks = await createChecks(service, 20)
  const load = sendPings(
    service.url,
    checks.map(({ path }) => path),
    16,
  )
  await eventually('load', () => load.answered('200') > 200)

  for (let round = 1; round <= 2; round++) {
    await postgres.stop()
    const events = (name: string) => service.lines().filter(({ event }) => event === name).length
    await eventually('the loss is noticed', () => events('database.lost') >= round)
    assert.equal((await fetch(`${service.url}/health/live`)).status, 200)
    await eventually('readiness ends', async () => (await fetch(`${service.url}/health/ready`)).status === 503)
    await postgres.start()
    await eventually('the database is back', () => events('database.back') >= round)
    await eventually('readiness returns', async () => (await fetch(`${service.url}/health/ready`)).status === 200)
    const before = load.answered('200')
    await eventually('load again', () => load.answered('200') > before + 200)
  }
  await load.stop()

  assert.equal(service.child.pid, pid)
  assert.equal(service.child.exitCode, null)
  assert.equal(load.answered('broken'), 0, 'every ping got an answer')
  const kept = await stored(postgres.url)
  for (const { uuid, path } of checks) {
    // A commit whose answer the stop cut off may have been made: such a ping is answered 503 and stored all the same.
    const acknowledged = load.acknowledged.get(path) ?? 0
    const surplus = (kept.get(uuid) ?? 0) - acknowledged
    assert.ok(surplus >= 0, `${path} is complete: ${acknowledged} acknowledged, ${surplus} more than that stored`)
    assert.ok(surplus <= (load.refused.get(path) ?? 0), `${path}: nothing is stored that nobody sent`)
  }
  t.diagnostic(`answers: ${JSON.stringify(Object.fromEntries(load.answers))}, all of the 200 in the database`)
  const errors = service.lines().filter(({ level }) => level === 'error')
  assert.deepEqual(
    errors,
    [],
    'an outage is logged by its own lines, not by an error for everything that needed the database',
  )
  assert.equal(await service.stop(), 0)
})

test('without a spool a long outage of PostgreSQL is answered 503 with Retry-After', async (t) => {
  const postgres = await ownPostgres(t)
  const service = await startService(t, { env: { DATABASE_URL: postgres.url, INGEST_MODE: 'consistent' } })
  const [check] = await createChecks(service, 1)
  await postgres.stop()

  const ping = await fetch(service.url + check?.path)
  assert.deepEqual([ping.status, ping.headers.get('retry-after')], [503, '1'])
  const list = await call(service.url, 'GET', '/api/v3/checks/')
  assert.deepEqual([list.status, list.headers.get('retry-after')], [503, '1'])
  const upload = await call(service.url, 'POST', '/api/v3/heartbeats/', [{ check: check?.uuid }])
  assert.deepEqual([upload.status, upload.headers.get('retry-after')], [503, '1'])
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  assert.match(metrics, /^db_connection_failures_total\{reason="refused"\} [1-9]/m)
  assert.match(metrics, /^circuit_breaker_state\{name="database"\} [12]$/m)

  await postgres.start()
  await eventually('pings are accepted', async () => (await fetch(service.url + check?.path)).status === 200)
  assert.equal((await stored(postgres.url)).get(check?.uuid ?? ''), 1, 'what was answered 503 was not stored')
})

test('with a spool every ping is answered OK through two outages, and each is stored once', async (t) => {
  const postgres = await ownPostgres(t)
  const service = await startService(t, { env: { DATABASE_URL: postgres.url } })
  const checks = await createChecks(service, 20)
  const paths = checks.map(({ path }) => path)
  const load = sendPings(service.url, paths, 16)
  await eventually('load', () => load.answered('200') > 200)
  const events = (name: string) => service.lines().filter(({ event }) => event === name).length
  for (let round = 1; round <= 2; round++) {
    await postgres.stop()
    await eventually('the spool is used', () => events('spool.begin') > round - 1)
    const before = load.answered('200')
    await eventually('pings are accepted without a database', () => load.answered('200') > before + 500)
    assert.equal((await fetch(`${service.url}/health/ready`)).status, 200)
    await postgres.start()
    await eventually('the spool is empty', () => events('spool.end') > round)
  }
  await load.stop()
  assert.deepEqual(Object.fromEntries(load.answers), { 200: load.answered('200') })
  const kept = await stored(postgres.url)
  for (const { uuid, path } of checks) assert.equal(kept.get(uuid), load.acknowledged.get(path), `${path} is complete`)
  t.diagnostic(`${load.answered('200')} pings, all answered OK and all in the database`)
  assert.equal(await service.stop(), 0)
})

test('a process killed in an outage and again in the replay leaves every heartbeat once to the next', async (t) => {
  const postgres = await ownPostgres(t)
  const dataDir = await scratchDir(t)
  const env = { DATABASE_URL: postgres.url, DATA_DIR: dataDir }
  const first = await startService(t, { env })
  const checks = await createChecks(first, 5)
  const paths = checks.map(({ path }) => path)
  await postgres.stop()
  const load = sendPings(first.url, paths, 16)
  await eventually('an outage full of pings', () => load.answered('200') > 2000)
  first.child.kill('SIGKILL')
  await load.stop()

  await postgres.start()
  const second = await startService(t, { env, ready: false })
  await second.event('spool.adopted')
  const rows = async () =>
    Number((await sql<{ n: string }>(postgres.url, 'SELECT count(*) AS n FROM heartbeats'))[0]?.n)
  await eventually('part of it is in the database', async () => (await rows()) > 0)
  second.child.kill('SIGKILL')
  t.diagnostic(`killed again after ${await rows()} of ${load.answered('200')}`)

  const third = await startService(t, { env })
  await eventually('the spool is empty', () => third.lines().some(({ event }) => event === 'spool.end'))
  const kept = await stored(postgres.url)
  // A ping whose answer the kill cut off may be there, too: one for each client at the most.
  const acknowledged = load.answered('200')
  const total = [...kept.values()].reduce((sum, n) => sum + n, 0)
  assert.ok(total >= acknowledged && total <= acknowledged + 16, `${acknowledged} acknowledged, ${total} stored`)
  for (const { uuid, path } of checks) assert.ok((kept.get(uuid) ?? 0) >= (load.acknowledged.get(path) ?? 0))
  assert.equal(await third.stop(), 0)
})

test('heartbeats before the first database are accepted; those without a check are dropped and logged', async (t) => {
  const postgres = await ownPostgres(t)
  const pingKey = 'test-ping-key-00000000'
  const env = { DATABASE_URL: postgres.url, BOOTSTRAP_PING_KEY: pingKey }
  const before = await startService(t, { env })
  const [check] = await createChecks(before, 1)
  await before.stop()
  await postgres.stop()

  const service = await startService(t, { env, ready: false })
  await service.event('database.waiting')
  const ping = async (path: string) => (await fetch(service.url + path)).status
  assert.equal(await ping(check?.path ?? ''), 200)
  assert.equal(await ping(`/ping/${pingKey}/new-job?create=1`), 200)
  assert.equal(await ping(`/ping/${pingKey}/new-job`), 200)
  assert.equal(await ping(`/ping/${pingKey}/never-made`), 200)
  assert.equal(await ping('/ping/00000000-0000-4000-8000-000000000000'), 200)
  assert.equal(await ping('/ping/00000000-0000-4000-8000-000000000000/bogus'), 404)
  assert.equal((await call(service.url, 'GET', '/api/v3/checks/')).status, 503)

  await postgres.start()
  await service.event('spool.end')
  const line = await service.event('spool.dropped')
  assert.deepEqual([line.heartbeats, line.addresses], [2, ['never-made', '00000000-***']])
  const rows = await sql<{ slug: string; n: string }>(postgres.url, 'SELECT slug, n FROM checks ORDER BY slug')
  assert.deepEqual(rows, [
    { slug: '', n: '1' },
    { slug: 'new-job', n: '2' },
  ])
  assert.equal(await service.stop(), 0)
})
