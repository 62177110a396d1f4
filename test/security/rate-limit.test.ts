import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { adminToken, build, call as callAt, eventually, keys, scratchDir } from '../helper.ts'
import { createDatabase } from '../postgres.ts'
import { needsTool } from '../tools.ts'

const key = { 'x-api-key': keys.api_key }
const readOnlyKey = { 'x-api-key': keys.api_key_readonly }
const admin = { authorization: `Bearer ${adminToken}` }

test('calls of a key are limited per minute; other keys, pings, probes and metrics do not count', async (t) => {
  const { call } = await build(t, { FLATLINE__LIMITS__CALLS_PER_MINUTE: '3' })
  const check = (await call('POST', '/api/v3/checks/', {}, key)).json()
  assert.equal((await call('GET', '/api/v3/deliveries/', undefined, key)).headers.get('ratelimit-remaining'), '1')
  assert.equal((await call('GET', '/api/v3/checks/', undefined, key)).status, 200)

  const limited = await call('GET', '/api/v3/deliveries/', undefined, key)
  assert.equal(limited.status, 429)
  assert.deepEqual(limited.json(), { error: 'too many calls: at most 3 a minute', code: 'too_many_requests' })
  assert.ok(Number(limited.headers.get('retry-after')) >= 1 && Number(limited.headers.get('retry-after')) <= 60)
  const ofHealthchecks = await call('GET', '/api/v3/checks/', undefined, key)
  assert.deepEqual(
    [ofHealthchecks.status, ofHealthchecks.json()],
    [429, { error: 'too many calls: at most 3 a minute' }],
  )

  assert.equal((await call('GET', '/api/v3/checks/', undefined, readOnlyKey)).status, 200)
  for (let i = 0; i < 10; i++) {
    assert.equal((await call('GET', `/ping/${check.uuid}`, undefined, {})).status, 200)
    assert.equal((await call('GET', '/health/live', undefined, key)).status, 200)
  }
  const metrics = await call('GET', '/metrics', undefined, {})
  assert.match(metrics.text, /^rate_limited_total\{scope="management"\} 2$/m)
})

test('every spelling of a key in a header counts as one key, and an empty header as none', async (t) => {
  const { call, url } = await build(t, { FLATLINE__LIMITS__CALLS_PER_MINUTE: '8' })
  const made = await call('POST', '/api/v3/projects/', { name: 'other' }, admin)
  const other = { authorization: `Bearer ${made.json().api_key}`, 'x-api-key': '' }
  const spellings: Record<string, string>[] = [
    key,
    { 'X-API-KEY': `  ${keys.api_key}  ` },
    { authorization: `Bearer ${keys.api_key}` },
    { authorization: `bearer ${keys.api_key}` },
    { authorization: `BEARER     ${keys.api_key}   ` },
    { authorization: `Bearer ${keys.api_key}`, 'x-api-key': '' },
    { ...key, authorization: 'Bearer junk' },
    { ...key, authorization: `Basic ${Math.random()}` },
  ]
  for (const headers of spellings)
    assert.equal((await callAt(url, 'GET', '/api/v3/checks/', undefined, headers)).status, 200)
  for (const headers of spellings)
    assert.equal((await callAt(url, 'GET', '/api/v3/checks/', undefined, headers)).status, 429)
  const inBody = await callAt(url, 'POST', '/api/v3/checks/', { api_key: keys.api_key }, {})
  assert.equal(inBody.status, 429, 'in a body, too')
  for (let i = 0; i < 8; i++) assert.equal((await callAt(url, 'GET', '/api/v3/checks/', undefined, other)).status, 200)
  assert.equal(
    (await callAt(url, 'GET', '/api/v3/checks/', undefined, other)).status,
    429,
    'another project has its own',
  )
})

test('0 switches a limit off, and the operator has a separate one', async (t) => {
  const off = await build(t, { FLATLINE__LIMITS__CALLS_PER_MINUTE: '0', FLATLINE__ADMIN__CALLS_PER_MINUTE: '2' })
  for (let i = 0; i < 5; i++) {
    const answer = await off.call('GET', '/api/v3/checks/', undefined, key)
    assert.deepEqual([answer.status, answer.headers.get('ratelimit-limit')], [200, null])
  }
  const statuses: number[] = []
  for (let i = 0; i < 3; i++) statuses.push((await off.call('GET', '/api/v3/projects/', undefined, admin)).status)
  assert.deepEqual(statuses, [200, 200, 429])
})

test('nobody uses up the calls of the operator, even behind the same proxy address', async (t) => {
  const { call } = await build(t, {
    FLATLINE__ADMIN__CALLS_PER_MINUTE: '2',
    FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '5',
  })
  const wrong = { authorization: `Bearer ${'x'.repeat(40)}` }
  for (let i = 0; i < 10; i++) {
    assert.equal((await call('GET', '/admin/log-level', undefined, wrong)).status, i < 5 ? 401 : 429)
  }
  assert.equal((await call('GET', '/admin/log-level', undefined, admin)).status, 200)
})

test('nothing of a request is read before its token is verified', async (t) => {
  const guarded = await build(t)
  const broken = '{"level": '
  assert.equal((await guarded.call('PUT', '/admin/log-level', broken, {})).status, 401)
  assert.equal((await guarded.call('POST', '/api/v3/projects/', broken, { authorization: 'Bearer x' })).status, 401)
  assert.equal((await guarded.call('PUT', '/admin/log-level', broken, admin)).status, 400)
  const unguarded = await build(t, { ADMIN_TOKEN: '' })
  for (const [method, path] of [
    ['PUT', '/admin/log-level'],
    ['POST', '/admin/shutdown'],
    ['POST', '/api/v3/projects/'],
  ] as const) {
    assert.equal((await unguarded.call(method, path, broken, admin)).status, 404, path)
  }
})

test('failed authentications of an address are limited for all keys; the right key is still served', async (t) => {
  const { url } = await build(t, { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '3', TRUST_PROXY: 'loopback' })
  let tried = 0
  const attempt = async (from: string, headers: Record<string, string> = {}) => {
    const wrong = { 'x-api-key': String(tried++).padStart(32, 'x') }
    return callAt(url, 'GET', '/api/v3/checks/', undefined, { ...wrong, ...headers, 'x-forwarded-for': from })
  }
  for (let i = 0; i < 3; i++) assert.equal((await attempt('198.51.100.7')).status, 401)
  const limited = await attempt('198.51.100.7')
  assert.equal(limited.status, 429)
  assert.ok(Number(limited.headers.get('retry-after')) >= 1)
  assert.equal((await attempt('198.51.100.7', { 'x-api-key': '' })).status, 429, 'a missing key is a failure, too')
  assert.equal((await attempt('198.51.100.7', key)).status, 200)
  assert.equal((await attempt('198.51.100.8')).status, 401, 'another address')

  for (const last of ['1', '2', '3']) assert.equal((await attempt(`2001:db8::${last}`)).status, 401)
  assert.equal((await attempt('2001:db8::4')).status, 429, 'an IPv6 network is one')
  assert.equal((await attempt('2001:db8:0:1::4')).status, 401)
})

test('an address from an untrusted proxy does not count', async (t) => {
  const { url } = await build(t, { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '2' })
  const statuses: number[] = []
  for (let i = 0; i < 3; i++) {
    const spoofed = { 'x-api-key': 'x'.repeat(32), 'x-forwarded-for': `198.51.100.${i}` }
    statuses.push((await callAt(url, 'GET', '/api/v3/checks/', undefined, spoofed)).status)
  }
  assert.deepEqual(statuses, [401, 401, 429])
})

test('the previous token is accepted while it is configured', async (t) => {
  const previous = 'previous-admin-token-00000000000000000'
  const { call } = await build(t, { ADMIN_TOKEN_PREVIOUS: previous })
  for (const [token, status] of [
    [adminToken, 200],
    [previous, 200],
    [`${previous}x`, 401],
  ] as const) {
    assert.equal(
      (await call('GET', '/api/v3/projects/', undefined, { authorization: `Bearer ${token}` })).status,
      status,
    )
  }
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startRedis(t: TestContext, port: number): Promise<ChildProcess> {
  const dir = await scratchDir(t)
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir]
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => stopRedis(child))
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  await eventually('redis', () => output.includes('Ready to accept connections'))
  return child
}

async function stopRedis(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('replicas count together in Redis; without it all calls are served and not counted', {
  skip: needsTool('redis-server'),
}, async (t) => {
  const port = await freePort()
  const DATABASE_URL = await createDatabase(t)
  const env = { DATABASE_URL, REDIS_URL: `redis://127.0.0.1:${port}`, FLATLINE__LIMITS__CALLS_PER_MINUTE: '4' }
  // Started before Redis is there.
  const first = await build(t, env)
  const second = await build(t, env)
  const replicas = [first, second]
  const status = async (i: number) =>
    (await (i % 2 === 0 ? first : second).call('GET', '/api/v3/checks/', undefined, key)).status
  for (let i = 0; i < 6; i++) assert.equal(await status(i), 200, 'nobody is refused for a Redis that is away')
  const redisStatus = async () => {
    const health = (await first.call('GET', '/health', undefined, {})).json()
    return [health.status, (health.checks as { redis: { status: string } }).redis.status]
  }
  assert.deepEqual(await redisStatus(), ['degraded', 'unhealthy'])

  const redis = await startRedis(t, port)
  await eventually(
    'both are connected',
    async () =>
      replicas.every(
        ({ app }) => app.redis?.client.status === 'ready' && app.circuitBreakers.get('redis', 'redis').admits(),
      ),
    20_000,
  )
  const counted: number[] = []
  for (let i = 0; i < 6; i++) counted.push(await status(i))
  assert.deepEqual(counted, [200, 200, 200, 200, 429, 429])
  await eventually('redis is healthy', async () => (await redisStatus())[1] === 'healthy')
  const stored = (await first.app.redis?.client.keys('*')) ?? []
  assert.ok(stored.length > 0 && !stored.join().includes(keys.api_key), 'no key lies in Redis')

  await stopRedis(redis)
  await eventually('the loss is noticed', () => replicas.every(({ app }) => app.redis?.client.status !== 'ready'))
  for (let i = 0; i < 4; i++) assert.equal(await status(i), 200)
})

test('a hanging Redis delays few calls: after them it is not asked any more', {
  skip: needsTool('redis-server'),
}, async (t) => {
  const port = await freePort()
  const redis = await startRedis(t, port)
  const { app, call } = await build(t, { REDIS_URL: `redis://127.0.0.1:${port}` })
  await eventually('it is connected', () => app.redis?.client.status === 'ready')
  assert.equal((await call('GET', '/api/v3/checks/', undefined, key)).status, 200)
  redis.kill('SIGSTOP')
  t.after(() => redis.kill('SIGCONT'))
  const opened = async () => {
    assert.equal((await call('GET', '/api/v3/checks/', undefined, key)).status, 200)
    const breakers = (await call('GET', '/circuit-breaker', undefined, admin)).json().circuit_breakers
    return (breakers as { name: string; state: string }[]).some(
      ({ name, state }) => name === 'redis' && state === 'open',
    )
  }
  await eventually('its circuit breaker opens', opened)
  await eventually('readiness says so, and takes nothing out for it', async () => {
    const { ready, checks, reasons } = (await call('GET', '/health/ready', undefined, {})).json()
    assert.deepEqual([ready, reasons], [true, []])
    const { redis, circuit_breakers } = checks as Record<string, string>
    return redis === 'unhealthy' && circuit_breakers === 'degraded'
  })
})
