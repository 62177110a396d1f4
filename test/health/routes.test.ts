import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFaultProxy } from '../fault-proxy.ts'
import { build, call, createReceiver, eventually } from '../helper.ts'
import { patience, within } from '../patience.ts'
import { createDatabase } from '../postgres.ts'

type HealthBody = {
  timestamp: string
  environment: string
  version: string
  uptime: number
  services: object
  checks: Record<string, Record<string, unknown>>
}

type Ready = { ready: boolean; timestamp: string; checks: Record<string, string>; reasons: string[] }

const probes = ['/health', '/health/ready', '/health/live', '/status'] as const
const statuses = async (url: string) => Promise.all(probes.map(async (path) => (await fetch(url + path)).status))

test('/health shows status, version, environment and checks, and no tenants, hosts or secrets', async (t) => {
  const { call, url, databaseUrl } = await build(t)
  const receiver = await createReceiver(t)
  const settings = { url: `${receiver.url}/s3cret-path` }
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'channel of a tenant', settings })
  await call('POST', '/api/v3/checks/', { name: 'check of a tenant', timeout: 60, grace: 60, channels: '*' })

  const answer = await call('GET', '/health', undefined, {})
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  const body = answer.json() as HealthBody
  assert.match(body.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.equal(body.environment, 'local')
  assert.match(body.version, /^\d+\.\d+\.\d+$/)
  assert.ok(Number.isInteger(body.uptime))
  const names = [
    'cache',
    'circuit_breakers',
    'database',
    'detector',
    'disk',
    'encryption',
    'memory',
    'process',
    'spool',
  ]
  assert.deepEqual(Object.keys(body.checks).sort(), names)
  const services = Object.entries(body.checks).map(([name, { status }]) => [name, status])
  assert.deepEqual(body.services, Object.fromEntries(services))
  for (const [name, check] of Object.entries(body.checks)) {
    assert.match(String(check.status), /^(healthy|degraded|unhealthy|unknown)$/, name)
    assert.ok(Number.isInteger(check.responseTime), name)
  }
  assert.equal(body.checks.database?.connection, 'connected')
  const { used, total, percentage } = body.checks.memory as Record<string, number>
  assert.ok(Number(used) > 10 && Number(total) > Number(used), 'MiB')
  assert.ok(Math.abs(Number(percentage) - (100 * Number(used)) / Number(total)) < 1)
  const { enabled, keySet, keyValid, testPassed, algorithm, keyLength } = body.checks.encryption ?? {}
  assert.deepEqual(
    [enabled, keySet, keyValid, testPassed, algorithm, keyLength],
    [true, true, true, true, 'aes-256-gcm', 32],
  )

  await call('GET', '/ping/00000000-0000-4000-8000-000000000000', undefined, {})
  const everything = (await Promise.all(probes.map(async (path) => (await fetch(url + path)).text()))).join()
  for (const secret of ['tenant', 's3cret', new URL(databaseUrl).pathname.slice(1), '127.0.0.1', 'postgres:']) {
    assert.ok(!everything.includes(secret), secret)
  }
})

test('every alias of a probe answers as the probe', async (t) => {
  const { url } = await build(t)
  const shape = async (path: string) => Object.keys((await (await fetch(url + path)).json()) as object).sort()
  for (const path of ['/live', '/liveness']) assert.deepEqual(await shape(path), await shape('/health/live'))
  for (const path of ['/ready', '/readiness']) assert.deepEqual(await shape(path), await shape('/health/ready'))
})

test('the readiness probe shows server, database, migrations, memory and disk in every phase', async (t) => {
  const { app, call, url } = await build(t)
  const found = { database: 'healthy', migrations: 'applied', memory: 'healthy', disk: 'healthy' }
  const ready = async () => {
    const { status, json } = await call('GET', '/health/ready', undefined, {})
    return { status, ...(json() as unknown as Ready) }
  }
  const report = (status: 'healthy' | 'degraded') => {
    for (const name of ['memory', 'disk'])
      app.health.register({ name, critical: false, timeoutMs: 1000, run: () => ({ status }) })
    app.health.forget()
  }
  report('healthy')
  const { checks, timestamp } = await ready()
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const { circuit_breakers, ...named } = checks
  assert.equal(circuit_breakers, 'healthy')
  assert.deepEqual(named, { server: 'ready', ...found })

  report('degraded')
  const full = await ready()
  assert.deepEqual([full.status, full.ready, full.reasons], [200, true, []])
  assert.deepEqual([full.checks.memory, full.checks.disk], ['degraded', 'degraded'])

  app.lifecycle.drain()
  const draining = await ready()
  assert.deepEqual([draining.status, draining.reasons], [503, ['server is draining']])
  assert.deepEqual(draining.checks, { ...full.checks, server: 'draining' })
  assert.equal((await fetch(`${url}/health/live`)).status, 200)
})

test('/status shows what was processed, when the detector last ran, and what is not in the database', async (t) => {
  const { call } = await build(t)
  const check = (await call('POST', '/api/v3/checks/', { name: 'job', timeout: 60, grace: 60 })).json()
  const ping = new URL(String(check.ping_url)).pathname
  // At once: none is counted twice or forgotten.
  await Promise.all(Array.from({ length: 50 }, () => call('GET', ping)))
  const status = (await call('GET', '/status', undefined, {})).json()
  assert.equal(status.environment, 'local')
  assert.equal(status.events_processed, 50)
  assert.equal(status.heartbeats_processed, 50)
  assert.equal(status.data_staleness_ms, 0)
  assert.ok(Number.isInteger(status.uptime_seconds))
  assert.ok(Array.isArray(status.blind_windows))
  await eventually('the detector ran', async () => (await call('GET', '/status', undefined, {})).json().last_run)
})

test('a caller outside of the list sees only the status, and only a trusted proxy gives its address', async (t) => {
  const { url } = await build(t, { HEALTH_DETAIL_ALLOWLIST: '10.1.0.0/16,::1', TRUST_PROXY: 'loopback' })
  const keys = async (path: string, from?: string) => {
    const headers: Record<string, string> = from === undefined ? {} : { 'x-forwarded-for': from }
    return Object.keys((await call(url, 'GET', path, undefined, headers)).json())
  }
  for (const path of ['/health', '/status']) {
    assert.deepEqual(await keys(path), ['status', 'timestamp'])
    assert.deepEqual(await keys(path, '10.2.0.1'), ['status', 'timestamp'])
    assert.ok((await keys(path, '10.1.2.3')).length > 5)
    assert.ok((await keys(path, '::1')).length > 5)
  }
  const distrusting = await build(t, { HEALTH_DETAIL_ALLOWLIST: '10.1.0.0/16' })
  const spoofed = await call(distrusting.url, 'GET', '/health', undefined, { 'x-forwarded-for': '10.1.2.3' })
  assert.deepEqual(Object.keys(spoofed.json()), ['status', 'timestamp'])
})

test('without a spool a lost database ends readiness, but neither liveness nor metrics', async (t) => {
  const proxy = await createFaultProxy(t, await createDatabase(t))
  const { url } = await build(t, {
    DATABASE_URL: proxy.url,
    INGEST_MODE: 'consistent',
    FLATLINE__DATABASE__STATEMENT_TIMEOUT_MS: String(patience(10_000)),
  })
  assert.deepEqual(await statuses(url), [200, 200, 200, 200])

  for (const fault of ['refuse', 'reset', 'blackhole'] as const) {
    await proxy.set(fault)
    await eventually(`${fault}: not ready`, async () => (await fetch(`${url}/health/ready`)).status === 503)
    assert.deepEqual(await statuses(url), [503, 503, 200, 200], fault)
    // Less than the time limit of a statement without an answer.
    const metrics = await within(`${fault}: a scrape not to wait for the database`, fetch(`${url}/metrics`), 3000)
    assert.equal(metrics.status, 200)
    assert.match(await metrics.text(), /^health_check_status\{check="database"\} 2$/m)
    const health = (await (await fetch(`${url}/health`)).json()) as { checks: { database: { connection: string } } }
    assert.match(health.checks.database.connection, /^(disconnected|error)$/)
    await proxy.set('pass')
    await eventually(`${fault}: ready again`, async () => (await fetch(`${url}/health/ready`)).status === 200)
  }
})

test('a replica stays ready while heartbeats wait for a briefly unavailable database', async (t) => {
  const proxy = await createFaultProxy(t, await createDatabase(t))
  const { call } = await build(t, { DATABASE_URL: proxy.url, INGEST_MODE: 'consistent' })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const ready = async () => (await call('GET', '/health/ready', undefined, {})).json() as unknown as Ready
  assert.equal((await ready()).ready, true)
  await proxy.set('refuse')
  const away = await eventually('the loss is noticed', async () => {
    const report = await ready()
    return report.checks.database === 'unhealthy' && report
  })
  assert.deepEqual([away.ready, away.reasons], [true, []])
  const waiting = call('GET', `/ping/${uuid}`, undefined, {})
  await proxy.set('pass')
  assert.equal((await waiting).text, 'OK')
  assert.equal((await ready()).ready, true)
  assert.equal((await call('GET', '/health/live')).status, 200)
})

test('with a spool a lost database makes health degraded, and the replica stays ready', async (t) => {
  const proxy = await createFaultProxy(t, await createDatabase(t))
  const { url, call } = await build(t, { DATABASE_URL: proxy.url })
  await proxy.set('refuse')
  type Report = { status: string; checks: { database: { status: string }; spool: { status: string; records: number } } }
  const health = async () => (await call('GET', '/health', undefined, {})).json() as unknown as Report
  await eventually('the loss is noticed', async () => (await health()).checks.database.status === 'degraded')
  assert.deepEqual(await statuses(url), [200, 200, 200, 200])
  assert.equal((await call('GET', '/ping/00000000-0000-4000-8000-000000000000')).text, 'OK')
  const { status, checks } = await eventually('it is in the spool', async () => {
    const report = await health()
    return report.checks.spool.records === 1 && report
  })
  assert.deepEqual([status, checks.spool.status], ['degraded', 'healthy'])
  await proxy.set('pass')
  await eventually('the spool is empty', async () => (await health()).checks.spool.records === 0)
})

test('under overload management calls are shed, but not probes, metrics and pings', async (t) => {
  const { call } = await build(t, { FLATLINE__LIMITS__MAX_RSS_BYTES: '1' })
  const shed = await eventually('shedding', async () => {
    const answer = await call('GET', '/api/v3/checks/')
    return answer.status === 503 ? answer : undefined
  })
  assert.equal(shed.headers.get('retry-after'), '10')
  for (const path of [...probes, '/metrics']) assert.equal((await call('GET', path, undefined, {})).status, 200, path)
  assert.equal((await call('GET', '/ping/00000000-0000-4000-8000-000000000000', undefined, {})).status, 404)
})
