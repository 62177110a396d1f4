import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { call, createReceiver, eventually, keys, type Received } from '../helper.ts'
import { beatS, patience, pause } from '../patience.ts'
import { createDatabase, sql } from '../postgres.ts'
import { type Service, startService } from './service.ts'

const auth = { 'x-api-key': keys.api_key }

type Alert = {
  event: string
  check: { uuid: string; name: string }
  flip: { at: string; from: string; to: string; reason: string }
}
type FlipRow = { check_id: string; seq: number; at: Date; noticed_at: Date; from: string; to: string; reason: string }

const parse = ({ body }: Received): Alert => JSON.parse(body)

async function createAlertedChecks(
  service: Service,
  hook: string,
  count: number,
  settings: object,
): Promise<{ uuid: string; path: string }[]> {
  const channel = await call(
    service.url,
    'POST',
    '/api/v3/channels/',
    { kind: 'webhook', name: 'hook', settings: { url: hook } },
    auth,
  )
  assert.equal(channel.status, 201, channel.text)
  const made = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      call(service.url, 'POST', '/api/v3/checks/', { name: `job ${i}`, channels: '*', ...settings }, auth),
    ),
  )
  return made.map((answer) => ({
    uuid: String(answer.json().uuid),
    path: new URL(String(answer.json().ping_url)).pathname,
  }))
}

test('three processes on one database make one flip and one delivery for each outage', async (t) => {
  const databaseUrl = await createDatabase(t)
  const services = await Promise.all(
    Array.from({ length: 3 }, () => startService(t, { env: { DATABASE_URL: databaseUrl } })),
  )
  const receiver = await createReceiver(t)
  const checks = await createAlertedChecks(services[0] as Service, receiver.url, 10, { timeout: 1, grace: 1 })
  const rounds = 6
  const flips = () => sql<FlipRow>(databaseUrl, 'SELECT * FROM flips WHERE seq > 1 ORDER BY check_id, seq')
  for (let round = 1; round <= rounds; round++) {
    await Promise.all(
      checks.map(({ path }, i) => call((services[(i + round) % 3] as Service).url, 'GET', path, undefined, {})),
    )
    // What one replica has answered can be read from any other at once.
    const reader = services[(round + 1) % 3] as Service
    const read = (await call(reader.url, 'GET', '/api/v3/checks/')).json().checks as { n_pings: number }[]
    assert.deepEqual([...new Set(read.map(({ n_pings }) => n_pings))], [round])
    const wanted = checks.length * (2 * round - 1)
    // Alerted before the next ones come: an outage that is over before its alert is sent is coalesced with its recovery.
    await eventually(
      `${wanted} flips`,
      async () => receiver.received.length >= wanted && (await flips()).length >= wanted,
    )
  }
  const wanted = checks.length * (2 * rounds - 1)
  await eventually('all deliveries', () => receiver.received.length >= wanted)

  const rows = await flips()
  assert.equal(rows.length, wanted)
  for (const { uuid } of checks) {
    const own = rows.filter(({ check_id }) => check_id === uuid).map(({ to }) => to)
    assert.deepEqual(
      own,
      Array.from({ length: 2 * rounds - 1 }, (_, i) => (i % 2 === 0 ? 'down' : 'up')),
    )
    const heard = receiver.received
      .map(parse)
      .filter(({ check }) => check.uuid === uuid)
      .map(({ event }) => event)
    assert.deepEqual(heard, own, 'sent in order')
  }
  const deliveryKeys = receiver.received.map(({ headers }) => headers['idempotency-key'])
  assert.equal(new Set(deliveryKeys).size, wanted)
  assert.equal(deliveryKeys.length, wanted)
  const late = rows.filter(({ to }) => to === 'down').map(({ at, noticed_at }) => noticed_at.getTime() - at.getTime())
  assert.ok(
    late.every((ms) => ms >= 0),
    'no flip before its deadline',
  )
  t.diagnostic(`noticed after ${Math.max(...late)} ms at most`)
  assert.deepEqual(await Promise.all(services.map((service) => service.stop())), [0, 0, 0])
})

test('a silent job is alerted once, with the document of the alert, and again when it is back', async (t) => {
  const databaseUrl = await createDatabase(t)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl } })
  const receiver = await createReceiver(t)
  const [check] = await createAlertedChecks(service, receiver.url, 1, { timeout: 1, grace: 1 })
  const { uuid, path } = check as { uuid: string; path: string }
  await call(service.url, 'POST', path, 'the last words', {})
  const [ping] = (await call(service.url, 'GET', `/api/v3/checks/${uuid}/pings/`, undefined, auth)).json().pings as {
    date: string
  }[]
  await eventually('the down alert', () => receiver.received.length === 1)
  await call(service.url, 'GET', path, undefined, {})
  await eventually('the up alert', () => receiver.received.length === 2)

  const [down, up] = receiver.received.map(parse)
  assert.deepEqual([down?.event, down?.flip.from, down?.flip.to, down?.flip.reason], ['down', 'up', 'down', 'timeout'])
  assert.equal(Date.parse(String(down?.flip.at)), Date.parse(String(ping?.date)) + 2000, 'dated at the deadline')
  assert.deepEqual([up?.event, up?.check.name, up?.flip.reason], ['up', 'job 0', 'recovered'])
  // The destination gets the message a moment before the outcome is recorded.
  await eventually('both are on record as sent', async () => {
    const { deliveries } = (await call(service.url, 'GET', `/api/v3/deliveries/?check=${uuid}`, undefined, auth)).json()
    const told = (deliveries as { status: string; attempts: number }[]).map((one) => `${one.status} ${one.attempts}`)
    return told.join() === 'sent 1,sent 1'
  })
  await service.stop()
})

test('a restart after an hour causes no false alert, and a lasting silence is alerted', async (t) => {
  const databaseUrl = await createDatabase(t)
  const env = { DATABASE_URL: databaseUrl }
  const receiver = await createReceiver(t)
  const first = await startService(t, { env })
  const [check] = await createAlertedChecks(first, receiver.url, 1, { timeout: 3 * beatS, grace: 3 * beatS })
  const { uuid, path } = check as { uuid: string; path: string }
  await call(first.url, 'GET', path, undefined, {})
  assert.equal(await first.stop(), 0)

  // An hour passes: everything that is known happened an hour earlier.
  await sql(databaseUrl, "UPDATE acceptance SET until_at = until_at - interval '1 hour'")
  await sql(
    databaseUrl,
    "UPDATE checks SET last_ping = last_ping - interval '1 hour', deadline = deadline - interval '1 hour', look_at = look_at - interval '1 hour'",
  )
  const second = await startService(t, { env })
  assert.match(
    String((await call(second.url, 'GET', `/api/v3/checks/${uuid}`, undefined, auth)).json().status),
    /up|grace/,
  )
  await eventually('the down alert', () => receiver.received.length === 1)
  const [flip] = await sql<FlipRow & { last_ping: Date; blind_from: Date; blind_to: Date }>(
    databaseUrl,
    "SELECT f.*, m.last_ping FROM flips f JOIN checks m ON m.id = f.check_id WHERE f.to = 'down'",
  )
  const waited = (flip?.at.getTime() ?? 0) - (flip?.last_ping.getTime() ?? 0)
  const blind = (flip?.blind_to.getTime() ?? 0) - (flip?.blind_from.getTime() ?? 0)
  assert.ok(blind >= 3_600_000 && blind < 3_600_000 + patience(60_000))
  // The window begins at the last record of acceptance, which may be up to one interval before the last ping.
  const rest = waited - blind
  assert.ok(
    rest <= 6000 * beatS && rest > 6000 * beatS - 600,
    `the wait is as long as ever beside the blind time, not ${rest} ms`,
  )
  assert.ok(JSON.parse(receiver.received[0]?.body ?? '{}').blind, 'the alert names the window')
  await second.stop()
})

test('without a spool an outage of the database moves deadlines by its length', async (t) => {
  const databaseUrl = await createDatabase(t)
  const name = /\/([^/?]+)\?/.exec(databaseUrl)?.[1] as string
  const admin = (text: string) => sql(process.env.TEST_DATABASE_URL as string, text)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl, INGEST_MODE: 'consistent' } })
  const receiver = await createReceiver(t)
  const [check] = await createAlertedChecks(service, receiver.url, 1, { timeout: 2 * beatS, grace: 2 * beatS })
  const { path } = check as { uuid: string; path: string }
  await call(service.url, 'GET', path, undefined, {})

  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  await admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`)
  const refused = await call(service.url, 'GET', path, undefined, {})
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
  await eventually('readiness to notice', async () => (await call(service.url, 'GET', '/health/ready')).status === 503)
  assert.equal((await call(service.url, 'GET', '/health/live')).status, 200)
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  assert.deepEqual(metrics.match(/^app_(ready|started) \d$/gm), ['app_ready 0', 'app_started 1'])
  // Longer than timeout and grace together: without blind time the check would be down at once.
  await pause(5000 * beatS)
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
  await eventually(
    'a ping to be accepted',
    async () => (await call(service.url, 'GET', path, undefined, {})).status === 200,
  )
  assert.deepEqual(await sql(databaseUrl, 'SELECT 1 FROM flips WHERE "to" = \'down\''), [])
  const windows = await sql(databaseUrl, "SELECT 1 FROM blind_windows WHERE to_at - from_at > interval '4 seconds'")
  assert.equal(windows.length, 1)
  assert.equal(await service.stop(), 0)
})

test('with a spool an outage of the database is not blind: only silent checks go down', async (t) => {
  const databaseUrl = await createDatabase(t)
  const name = /\/([^/?]+)\?/.exec(databaseUrl)?.[1] as string
  const admin = (text: string) => sql(process.env.TEST_DATABASE_URL as string, text)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl } })
  const receiver = await createReceiver(t)
  const [steady, silent] = await createAlertedChecks(service, receiver.url, 2, { timeout: 2 * beatS, grace: 2 * beatS })
  const ping = async (check: { path: string } | undefined) => (await fetch(service.url + check?.path)).status
  await ping(steady)
  await ping(silent)
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
  await admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`)
  for (const until = performance.now() + 6000 * beatS; performance.now() < until; ) {
    assert.equal(await ping(steady), 200)
    await pause(500)
  }
  await admin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
  await service.event('spool.begin')
  await eventually('the alert', async () => {
    await ping(steady)
    return receiver.received.length > 0
  })
  const flips = await sql<{ id: string; waited: number }>(
    databaseUrl,
    `SELECT m.id, extract(epoch FROM f.at - m.last_ping)::float8 AS waited FROM flips f JOIN checks m ON m.id = f.check_id
     WHERE f."to" = 'down'`,
  )
  assert.deepEqual(flips, [{ id: silent?.uuid, waited: 4 * beatS }])
  assert.deepEqual(await sql(databaseUrl, 'SELECT 1 FROM blind_windows'), [])
  assert.equal(await service.stop(), 0)
})

test('a pod that is frozen longer than its checks wait causes no alert when it continues', async (t) => {
  const databaseUrl = await createDatabase(t)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl } })
  const receiver = await createReceiver(t)
  const [check] = await createAlertedChecks(service, receiver.url, 1, { timeout: 2 * beatS, grace: 2 * beatS })
  const { path } = check as { uuid: string; path: string }
  await call(service.url, 'GET', path, undefined, {})
  service.child.kill('SIGSTOP')
  await pause(6000 * beatS)
  service.child.kill('SIGCONT')
  await eventually('the window', async () => (await sql(databaseUrl, 'SELECT 1 FROM blind_windows')).length === 1)
  await call(service.url, 'GET', path, undefined, {})
  assert.deepEqual(await sql(databaseUrl, 'SELECT 1 FROM flips WHERE "to" = \'down\''), [])
  await service.stop()
})

test('a replica that freezes in a transaction stops neither ingest nor detection elsewhere', async (t) => {
  const databaseUrl = await createDatabase(t)
  const service = await startService(t, { env: { DATABASE_URL: databaseUrl } })
  const receiver = await createReceiver(t)
  const [check, other] = await createAlertedChecks(service, receiver.url, 2, { timeout: 1, grace: 1 })
  // As a frozen replica of this version holds it: a row lock in a session that does nothing and has the pool's limits.
  const frozen = new pg.Client({ connectionString: databaseUrl, idle_in_transaction_session_timeout: 5000 })
  frozen.on('error', () => {})
  await frozen.connect()
  t.after(() => frozen.end().catch(() => undefined))
  await frozen.query('BEGIN')
  await frozen.query('SELECT 1 FROM checks WHERE id = $1 FOR UPDATE', [other?.uuid])
  await call(service.url, 'GET', String(check?.path), undefined, {})
  await eventually('the alert', () => receiver.received.length === 1)
  assert.equal((await call(service.url, 'GET', String(other?.path), undefined, {})).status, 200)
  await service.stop()
})
