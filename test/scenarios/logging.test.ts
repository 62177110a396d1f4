import assert from 'node:assert/strict'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { adminToken, call, eventually, keys, scratchDir } from '../helper.ts'
import { createDatabase } from '../postgres.ts'
import { spawnService, startService } from './service.ts'

type Line = { level: string; event?: string; msg: string; requestId?: string } & Record<string, unknown>
const admin = { authorization: `Bearer ${adminToken}` }
const parse = (text: string): Line[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

test('LOG_FILE has every line, rotated by size, and a second file has the errors, to the last line', async (t) => {
  const dir = await scratchDir(t)
  const file = join(dir, 'logs', 'flatline.log')
  const env = {
    DATABASE_URL: await createDatabase(t),
    LOG_FILE: file,
    FLATLINE__LOG__ROTATE_BYTES: '20000',
    FLATLINE__LOG__ROTATE_KEEP: '2',
  }
  const service = await spawnService(t, env)
  const lines = async () => parse(await readFile(file, 'utf8').catch(() => ''))
  const url = await eventually(
    'the listener',
    async () => (await lines()).find(({ event }) => event === 'server.listening')?.url,
  )
  await eventually('readiness', async () => (await fetch(`${url}/health/ready`)).status === 200)
  const names = async () => (await readdir(join(dir, 'logs'))).sort()
  for (let i = 0; (await names()).length < 4; i++) {
    assert.ok(i < 2000, 'rotates')
    await call(String(url), 'GET', '/api/v3/checks/', undefined, {
      'x-api-key': keys.api_key,
      'x-request-id': `n-${i}`,
    })
  }
  assert.deepEqual(await names(), ['flatline.error.log', 'flatline.log', 'flatline.log.1', 'flatline.log.2'])
  assert.ok((await stat(`${file}.1`)).size < 30_000)
  assert.equal(service.lines().length, 0, 'nothing on standard output')
  assert.equal(await service.stop(), 0)

  const all =
    (await Promise.all([2, 1].map((n) => readFile(`${file}.${n}`, 'utf8')))).join('') + (await readFile(file, 'utf8'))
  const numbers = parse(all).flatMap(({ event, requestId }) =>
    event === 'request' && requestId?.startsWith('n-') ? [Number(requestId.slice(2))] : [],
  )
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, i) => (numbers[0] as number) + i),
    'no line is missing, none cut',
  )
  assert.equal(parse(all).at(-1)?.event, 'shutdown.complete')
  assert.equal((await names()).length, 4, 'no more are kept')
})

test('the error file has only errors, even beside standard output, up to a forced end', async (t) => {
  const dir = await scratchDir(t)
  const errorFile = join(dir, 'errors.log')
  const service = await startService(t, {
    env: {
      DATABASE_URL: await createDatabase(t),
      LOG_ERROR_FILE: errorFile,
      SHUTDOWN_TIMEOUT_MS: '60s',
      DRAIN_MS: '20s',
    },
  })
  assert.equal(await readFile(errorFile, 'utf8'), '')
  service.child.kill('SIGTERM')
  await service.event('shutdown.start')
  assert.equal(await service.stop('SIGTERM'), 1)
  const errors = parse(await readFile(errorFile, 'utf8'))
  assert.deepEqual(
    errors.map(({ level, event }) => [level, event]),
    [['fatal', 'shutdown.second_signal']],
  )
  assert.ok(service.lines().some(({ event }) => event === 'shutdown.second_signal'))
})

test('a log file that cannot be written stops the start with one line that names the setting', async (t) => {
  const dir = await scratchDir(t)
  // A file where a directory should be is refused to root, too.
  const service = await spawnService(t, { LOG_FILE: '/dev/null/flatline.log' })
  assert.equal(await service.exited, 1)
  assert.match(service.output(), /LOG_FILE: \/dev\/null\/flatline\.log cannot be written \(\w+\)/)
  await chmod(dir, 0o755)
})

test('the log level changes at run time, also for lines of requests, and is in the audit log', async (t) => {
  const service = await startService(t, { env: { DATABASE_URL: await createDatabase(t), LOG_LEVEL: 'warn' } })
  assert.ok(
    ['config.summary', 'server.listening', 'server.ready'].every((name) =>
      service.lines().some(({ event }) => event === name),
    ),
    'how it starts is logged at any level',
  )
  const ask = (id: string) =>
    call(service.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': keys.api_key, 'x-request-id': id })
  const told = (id: string) => service.lines().some(({ event, requestId }) => event === 'request' && requestId === id)
  const level = (body: unknown, id: string) =>
    call(service.url, 'PUT', '/admin/log-level', body, { ...admin, 'x-request-id': id })

  await ask('quiet')
  const changed = await level({ level: 'INFO' }, 'louder')
  assert.deepEqual([changed.status, changed.json()], [200, { level: 'info' }])
  await ask('told')
  await eventually('the line', () => told('told'))
  assert.ok(!told('quiet'))
  assert.deepEqual((await level({ level: 'warning' }, 'back')).json(), { level: 'warn' })
  assert.deepEqual((await call(service.url, 'GET', '/admin/log-level', undefined, admin)).json(), { level: 'warn' })
  await ask('quiet-again')

  for (const body of [{ level: 'loud' }, {}, { level: 'info', x: 1 }]) {
    const refused = await level(body, 'refused')
    assert.equal(refused.status, 400, refused.text)
    assert.ok(refused.json().field)
  }
  const { entries } = (
    await call(service.url, 'GET', '/api/v3/audit/?action=admin.log_level', undefined, admin)
  ).json() as {
    entries: Record<string, unknown>[]
  }
  assert.deepEqual(
    entries.map(({ request_id, detail, actor }) => [request_id, detail, actor]),
    [
      ['back', { before: 'info', after: 'warn' }, 'admin'],
      ['louder', { before: 'warn', after: 'info' }, 'admin'],
    ],
  )
  assert.equal(await service.stop(), 0)
  assert.ok(!told('quiet-again'))
  assert.ok(service.lines().some(({ event }) => event === 'shutdown.complete'))
  assert.deepEqual(
    service.lines().flatMap(({ event, requestId }) => (event === 'admin.log_level' ? [requestId] : [])),
    ['louder', 'back'],
    'what the operator does is logged at any level',
  )
})

test('a request is logged with caller, address and trace; probes and pings are not logged', async (t) => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const file = join(await scratchDir(t), 'flatline.log')
  const files = { LOG_DESTINATION: 'both', LOG_FILE: file }
  const env = { DATABASE_URL: await createDatabase(t), LOG_ANONYMIZE_IP: 'true', ...files }
  const service = await startService(t, { env })
  const headers = { 'x-api-key': keys.api_key, 'x-request-id': 'r-1', traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
  await call(service.url, 'GET', '/api/v3/checks/', undefined, headers)
  for (const path of [
    '/health',
    '/health/live',
    '/health/ready',
    '/metrics',
    '/status',
    '/ping/00000000-0000-4000-8000-000000000000',
  ])
    await call(service.url, 'GET', path, undefined, { 'x-request-id': 'silent' })
  const [line] = await eventually('the line', () => {
    const found = service.lines().filter(({ event, requestId }) => event === 'request' && requestId === 'r-1')
    return found.length > 0 && found
  })
  const { req, res, actor, project, durationMs } = line as Line & {
    req: Record<string, unknown>
    res: { statusCode: number }
  }
  assert.deepEqual([req.method, req.url, req.remoteAddress], ['GET', '/api/v3/checks/', '127.0.0.0'])
  assert.deepEqual([res.statusCode, actor, line?.traceId], [200, 'api_key', traceId])
  assert.match(String(project), /^[0-9a-f-]{8}/)
  assert.ok(Number(durationMs) > 0)
  await call(service.url, 'GET', '/api/v3/checks/', undefined, { 'x-request-id': 'intruder' })
  const failure = await service.event('auth.failure')
  assert.deepEqual([failure.requestId, failure.reason, failure.ip], ['intruder', 'missing', '127.0.0.0'])
  assert.equal(await service.stop(), 0)
  assert.ok(!service.lines().some(({ requestId }) => requestId === 'silent'))
  const messages = service.lines().map(({ msg }) => msg)
  const order = [
    'SIGTERM received, starting graceful shutdown...',
    'Server closed, cleaning up resources...',
    'Graceful shutdown complete',
  ]
  assert.deepEqual(
    messages.filter((msg) => order.includes(String(msg))),
    order,
  )
  assert.ok(messages.some((msg) => /^serving on port \d+$/.test(String(msg))))
  assert.deepEqual(parse(await readFile(file, 'utf8')), service.lines(), 'the file has the same lines')
})
