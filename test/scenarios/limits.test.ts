// At the limits: clients that are slow, disconnect in the middle, or stay idle must not harm the others.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { call, eventually, keys } from '../helper.ts'
import { patience, pause, within } from '../patience.ts'
import { createDatabase } from '../postgres.ts'
import { type Service, startService } from './service.ts'

/** The clients of these tests are this process, which must be allowed as many open files itself. */
const allowed = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
const idleConnections = Math.min(10_000, allowed - 1000)

function open(t: TestContext, service: Service): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1', () => resolve(socket))
    socket.once('error', reject)
    t.after(() => socket.destroy())
  })
}

/** Resolves when the service has closed the connection, with what it answered. */
function ended(socket: Socket): Promise<string> {
  let said = ''
  socket.setEncoding('utf8').on('data', (chunk) => (said += chunk))
  return new Promise((resolve) => socket.on('error', () => {}).once('close', () => resolve(said)))
}

async function createPing(service: Service): Promise<string> {
  const check = (await call(service.url, 'POST', '/api/v3/checks/', { name: 'job', timeout: 3600, grace: 3600 })).json()
  return new URL(String(check.ping_url)).pathname
}

const rssMb = async ({ child }: Service) =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024

test('clients that send too slowly are disconnected, and interrupted ones leave nothing behind', async (t) => {
  const env = {
    DATABASE_URL: await createDatabase(t),
    FLATLINE__SERVER__HEADERS_TIMEOUT_MS: String(patience(1500)),
    FLATLINE__SERVER__REQUEST_TIMEOUT_MS: String(patience(2500)),
  }
  const service = await startService(t, { env })
  const path = await createPing(service)

  const dribbler = await open(t, service)
  const dribbled = ended(dribbler)
  dribbler.write('GET /health HTTP/1.1\r\nHost: x\r\n')
  const dribbling = setInterval(() => dribbler.writable && dribbler.write('X-Slow: y\r\n'), 200)
  t.after(() => clearInterval(dribbling))

  const stalled = await open(t, service)
  const stalledEnd = ended(stalled)
  stalled.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly a part of it`)

  for (let i = 0; i < 20; i++) {
    const aborted = await open(t, service)
    aborted.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbroken off`)
    if (i % 2 === 0) aborted.resetAndDestroy()
    else aborted.destroy()
  }
  for (let i = 0; i < 10; i++)
    assert.equal((await fetch(service.url + path)).status, 200, 'others are served meanwhile')

  const cut = await within('both to be cut off', Promise.all([dribbled, stalledEnd]))
  assert.match(cut[0], /^HTTP\/1\.1 408 /)
  const check = (await call(service.url, 'GET', `/api/v3/checks/${path.split('/')[2]}`)).json()
  assert.equal(check.n_pings, 10, 'what did not arrive whole was not taken')
  await eventually('the connections are gone', async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    return Number(/^active_connections (\d+)$/m.exec(metrics)?.[1]) < 10
  })
  assert.deepEqual(
    service.lines().filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
  )
  assert.equal(await service.stop(), 0)
})

test(`${idleConnections} idle connections delay neither other clients nor the shutdown`, async (t) => {
  const service = await startService(t, { env: { DATABASE_URL: await createDatabase(t) } })
  const path = await createPing(service)
  const before = await rssMb(service)
  const idle: Socket[] = []
  for (let i = 0; i < idleConnections; i += 250) {
    idle.push(...(await Promise.all(Array.from({ length: 250 }, () => open(t, service)))))
  }
  for (const socket of idle) socket.on('error', () => {})
  for (let i = 0; i < 50; i++) assert.equal((await fetch(service.url + path)).status, 200)
  for (const probe of ['/health/live', '/health/ready', '/metrics']) {
    assert.equal((await fetch(service.url + probe)).status, 200)
  }
  const grown = (await rssMb(service)) - before
  assert.ok(grown < 200, `${grown.toFixed(0)} MB for ${idleConnections} connections`)
  t.diagnostic(`${idleConnections} idle connections: ${grown.toFixed(0)} MB`)
  assert.equal(await service.stop(), 0)
})

test('clients beyond the limit of open files are refused, logged and counted, and end nothing', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), FLATLINE__DATABASE__POOL_MAX: '5' }
  const service = await startService(t, { env, openFilesMax: 220 })
  const path = await createPing(service)
  const crowd = await Promise.all(Array.from({ length: 400 }, () => open(t, service)))
  for (const socket of crowd) socket.on('error', () => {})
  await service.event('connections.refused')
  // Longer than the longest interval between two readings of the process's memory.
  await pause(2500)
  for (const socket of crowd) socket.destroy()
  await eventually('it serves again', async () => (await fetch(service.url + path)).status === 200)
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  assert.ok(Number(/^connections_refused_total (\d+)$/m.exec(metrics)?.[1]) >= 200)
  assert.deepEqual(
    service.lines().filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
  )
  assert.equal(await service.stop(), 0)
})

test('under overload the operator, probes, metrics and pings are answered, management is not', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), FLATLINE__LIMITS__MAX_RSS_BYTES: '1' }
  const service = await startService(t, { env })
  const shed = await eventually('shedding', async () => {
    const answer = await call(service.url, 'GET', '/api/v3/checks/')
    return answer.status === 503 ? answer : undefined
  })
  assert.ok(Number(shed.headers.get('retry-after')) > 0)
  const admin = { authorization: 'Bearer test-admin-token-000000000000000000' }
  for (const path of ['/api/v3/projects/', '/api/v1/circuit-breakers/status']) {
    assert.equal((await call(service.url, 'GET', path, undefined, admin)).status, 200, path)
  }
  for (const path of ['/health', '/health/live', '/health/ready', '/status', '/metrics']) {
    assert.equal((await call(service.url, 'GET', path, undefined, {})).status, 200, path)
  }
  const unknown = '/ping/00000000-0000-4000-8000-000000000000'
  assert.equal((await call(service.url, 'GET', unknown, undefined, {})).status, 404)
  assert.equal(
    (await call(service.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': keys.api_key })).status,
    503,
  )
})
