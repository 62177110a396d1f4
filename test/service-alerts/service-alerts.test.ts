import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { adminToken, build, call as callAt, createReceiver, eventually } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

const admin = { authorization: `Bearer ${adminToken}` }

test('a problem of the service is reported to the operators once, kept in the history, and resolved', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  const far = await createReceiver(t)
  const ENCRYPTION_KEY = randomBytes(32).toString('hex')
  const first = await build(t, { DATABASE_URL, ENCRYPTION_KEY })
  const settings = { url: far.url }
  const { id } = (await first.call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'ops', settings })).json()
  await first.app.close()
  const env = {
    DATABASE_URL,
    ENCRYPTION_KEY,
    SERVICE_ALERT_CHANNELS: String(id),
    FLATLINE__ALERTING__SERVICE_LOOK_MS: '50',
    FLATLINE__ALERTING__SERVICE_CALM_MS: '100',
    CIRCUIT_BREAKER_OVERRIDES: '{"pigeon": {"recoveryMs": 1}}',
  }
  const { url, app } = await build(t, env)
  const alerts = async () =>
    (await callAt(url, 'GET', '/api/v3/service-alerts/', undefined, admin)).json().alerts as Record<string, string>[]
  const of = async (rule: string) => (await alerts()).filter((alert) => alert.rule === rule).map(({ level }) => level)

  const breaker = app.circuitBreakers.get('pigeon:1', 'pigeon')
  for (let n = 0; n < 5; n++) breaker.beginAnyway().fail('away')
  await eventually('the alert', async () => (await of('breaker')).length === 1)
  await eventually('it to be half open', () => breaker.phase() === 'half_open')
  const { states } = app.circuitBreakers
  let looks = 0
  app.circuitBreakers.states = () => {
    looks++
    return states()
  }
  await eventually('ten more looks', () => looks >= 10)
  assert.deepEqual(await of('breaker'), ['INFO'], 'a destination that is only tried again does not work yet')
  app.circuitBreakers.reset('pigeon:1')
  await eventually('its end', async () => (await of('breaker')).length === 2)
  assert.deepEqual(await of('breaker'), ['RESOLVED', 'INFO'])

  type Told = { event: string; notice: { severity: string; title: string; text: string } }
  const told = () =>
    far.received.map(({ body }) => JSON.parse(body) as Told).filter(({ notice }) => /breaker/.test(notice.title))
  await eventually('both notices', () => told().length === 2)
  assert.deepEqual(
    told().map(({ event, notice }) => `${event} ${notice.severity}`),
    ['notice info', 'notice resolved'],
  )
  assert.match(told()[0]?.notice.text ?? '', /pigeon/)
  const page = await callAt(url, 'GET', '/api/v3/service-alerts?limit=1', undefined, admin)
  assert.equal((page.json().alerts as unknown[]).length, 1)
  assert.ok(page.json().next)
  assert.equal((await callAt(url, 'GET', '/api/v3/service-alerts/')).status, 401)
  assert.equal((await callAt(url, 'GET', '/api/v3/service-alerts/?limit=0', undefined, admin)).status, 400)
})

test('at least the last thousand alerts are kept, and the oldest are removed', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  await sql(
    DATABASE_URL,
    `INSERT INTO service_alerts (at, node, rule, level, text)
     SELECT now(), 'n', 'health', 'WARNING', 'x' FROM generate_series(1, 10000)`,
  )
  const { app } = await build(t, { DATABASE_URL, FLATLINE__ALERTING__SERVICE_LOOK_MS: '50' })
  const breaker = app.circuitBreakers.get('pigeon:1', 'pigeon')
  for (let n = 0; n < 5; n++) breaker.beginAnyway().fail('away')
  const oldest = async () =>
    (await sql<{ id: number }>(DATABASE_URL, 'SELECT min(id)::int AS id FROM service_alerts'))[0]?.id as number
  await eventually('the oldest to go', async () => (await oldest()) > 1)
  const [{ kept } = {}] = await sql<{ kept: number }>(DATABASE_URL, 'SELECT count(*)::int AS kept FROM service_alerts')
  assert.ok(Number(kept) >= 1000, `${kept} are kept`)
})

test('the service sends its own heartbeat while it is healthy', async (t) => {
  const far = await createReceiver(t)
  await build(t, { SELF_HEARTBEAT_URL: `${far.url}/ping/self`, FLATLINE__FEATURES__SELF_HEARTBEAT_MS: '50' })
  await eventually('two heartbeats', () => far.received.length >= 2)
  assert.equal(far.received[0]?.url, '/ping/self')
})
