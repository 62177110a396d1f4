// A body is only read once its sender is known, and all bodies together are bounded.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { permissionsOf } from '../../src/core/permissions.ts'
import { createBodyRoom } from '../../src/http/body/body-room.ts'
import { parseJson } from '../../src/http/body/python-json.ts'
import { adminToken, build, eventually, keys } from '../helper.ts'
import { exchange } from './exchange.ts'

const uuid = '00000000-0000-4000-8000-000000000000'
/** Nothing of a body is read there. */
const open: string[] = ['public', 'ingest', ...permissionsOf('recipient')]
const announced = { 'content-length': '8000000' }
const wrongKeys: Record<string, string>[] = [
  { 'x-api-key': 'x'.repeat(32) },
  { authorization: `Bearer ${'x'.repeat(32)}` },
  { authorization: 'Basic eDp4' },
  { 'x-api-key': keys.ping_key.slice(1) },
]

test('every guarded call refuses an unknown caller before the body has been sent', async (t) => {
  const guarded: RouteOptions[] = []
  const observe = (app: FastifyInstance) => app.addHook('onRoute', (route) => void guarded.push(route))
  const { url } = await build(t, { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0' }, observe)
  let refused = 0
  for (const { method, url: pattern, config } of guarded) {
    const [verb = ''] = [method].flat()
    if (!['POST', 'PUT', 'PATCH'].includes(verb) || open.includes(config?.requires ?? '')) continue
    const path = pattern.replace(':kind', 'api_key').replace(/:\w+/g, uuid)
    for (const key of wrongKeys) {
      const sent = { method: verb, path, headers: { ...announced, ...key }, unfinished: true }
      assert.equal((await exchange(url, sent)).status, 401, `${verb} ${path}`)
      refused++
    }
  }
  assert.ok(refused > 100, String(refused))
})

test('a key in a body is read from the first 64 KB, unless the address has used up its failures', async (t) => {
  const { url, call } = await build(t, { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '2' })
  const path = '/api/v3/checks/'
  const bodyOf = (key: string, bytes: number) => {
    const ignored = 'x'.repeat(bytes - JSON.stringify({ api_key: key, ignored: '' }).length)
    return JSON.stringify({ api_key: key, ignored })
  }
  assert.equal((await call('POST', path, bodyOf(keys.api_key, 65_536), {})).status, 201)
  const larger = await call('POST', path, bodyOf(keys.api_key, 65_537), {})
  assert.deepEqual(
    [larger.status, JSON.parse(larger.text).error.startsWith('the body is larger than 65536')],
    [413, true],
  )
  const chunked = { 'transfer-encoding': 'chunked' }
  const endless = { method: 'POST', path, headers: chunked, body: 'x'.repeat(100_000), unfinished: true }
  assert.equal((await exchange(url, endless)).status, 413)
  assert.equal((await call('POST', path, bodyOf(keys.api_key, 200_000))).status, 201, 'with the key in a header')

  for (let i = 0; i < 2; i++) assert.equal((await call('POST', path, bodyOf('x'.repeat(32), 1000), {})).status, 401)
  const unread = { method: 'POST', path, headers: { 'content-length': '1000' }, unfinished: true }
  const refused = await exchange(url, unread)
  assert.equal(refused.status, 429, 'before anything is read')
  assert.ok(Number(refused.headers['retry-after']) >= 1)
  assert.equal((await call('POST', path, {})).status, 201, 'a right key in a header is served')
})

test('bodies in progress use no more than the limit together, and return it', async (t) => {
  const { url, call, app } = await build(t, { FLATLINE__LIMITS__BODIES_MAX_BYTES: '16777216' })
  const held = async () => Number(/^request_body_bytes (\d+)$/m.exec(await app.metricsRegistry.metrics())?.[1])
  const upload = (body: Buffer) =>
    exchange(url, {
      method: 'POST',
      path: '/api/v3/heartbeats/',
      headers: { 'x-api-key': keys.api_key, 'transfer-encoding': 'chunked' },
      body,
      unfinished: true,
    })
  const settled: number[] = []
  const uploads = Array.from({ length: 3 }, () =>
    upload(Buffer.alloc(6_000_000, ' ')).then(({ status }) => settled.push(status)),
  )
  await eventually('one of three is refused', () => settled.length === 1)
  assert.deepEqual(settled, [503])
  assert.equal((await call('POST', '/api/v3/checks/', { name: 'small' })).status, 201, 'small ones still find room')
  await eventually('what was refused is given back', async () => (await held()) <= 12_000_000)
  app.server.closeAllConnections()
  await Promise.allSettled(uploads)
  await eventually('all is given back', async () => (await held()) === 0)
})

test('callers whose key may be in the body share an eighth of the memory for bodies', async (t) => {
  const { url, app } = await build(t, { FLATLINE__LIMITS__BODIES_MAX_BYTES: '16777216' })
  const sent = { method: 'POST', path: '/api/v3/checks/', headers: { 'content-length': '65536' }, unfinished: true }
  const settled: number[] = []
  const held = Array.from({ length: 60 }, () =>
    exchange(url, { ...sent, body: 'x'.repeat(60_000) }).then(({ status }) => settled.push(status)),
  )
  await eventually('those beyond it are refused', () => settled.length >= 60 - Math.floor(2_097_152 / 60_000))
  assert.ok(settled.every((status) => status === 503))
  const known = await exchange(url, {
    method: 'POST',
    path: '/api/v3/checks/',
    headers: { 'x-api-key': keys.api_key },
    body: JSON.stringify({ ignored: 'x'.repeat(500_000) }),
  })
  assert.equal(known.status, 201, 'who is known finds room')
  app.server.closeAllConnections()
  await Promise.allSettled(held)
})

test('slow uploads of one tenant block no other tenant', async (t) => {
  const { url, call, app } = await build(t, { FLATLINE__LIMITS__BODIES_MAX_BYTES: '16777216' })
  const made = await call('POST', '/api/v3/projects/', { name: 'other' }, { authorization: `Bearer ${adminToken}` })
  const other = { 'x-api-key': String(made.json().api_key) }
  const settled: number[] = []
  const slow = Array.from({ length: 8 }, () =>
    exchange(url, {
      method: 'POST',
      path: '/api/v3/heartbeats/',
      headers: { 'x-api-key': keys.ping_key, 'content-length': '8000000' },
      body: Buffer.alloc(3_000_000, ' '),
      unfinished: true,
    }).then(({ status }) => settled.push(status)),
  )
  await eventually('those beyond the limit to be refused', () => settled.length >= 3)
  for (let n = 0; n < 5; n++) {
    const body = JSON.stringify({ name: `c${n}`, ignored: 'x'.repeat(1_000_000) })
    assert.equal((await call('POST', '/api/v3/checks/', body, other)).status, 201)
  }
  assert.ok(settled.every((status) => status === 503))
  app.server.closeAllConnections()
  await Promise.allSettled(slow)
})

test('slow pings of an unknown sender block no other ping with a body', async (t) => {
  const { url, call, app } = await build(t, { FLATLINE__INGEST__QUEUE_MAX_BYTES: '1000000' })
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'job' })).json()
  const settled: number[] = []
  const slow = Array.from({ length: 40 }, () =>
    exchange(url, {
      method: 'POST',
      path: `/ping/${'x'.repeat(22)}/job`,
      headers: { 'content-length': '100000' },
      body: Buffer.alloc(60_000, ' '),
      unfinished: true,
    }).then(({ status }) => settled.push(status)),
  )
  await eventually('those beyond the limit to be refused', () => settled.length >= 20)
  for (let n = 0; n < 5; n++) assert.equal((await call('POST', `/ping/${uuid}`, 'x'.repeat(90_000), {})).status, 200)
  assert.ok(settled.every((status) => status === 503))
  app.server.closeAllConnections()
  await Promise.allSettled(slow)
})

test('the largest user of body memory loses its oldest body, and nobody uses more than half', () => {
  const room = createBodyRoom(1600)
  const gone: string[] = []
  const begin = (holder: string, name: string, bytes: number) => {
    const hold = room.begin(
      () => holder,
      () => gone.push(name),
    )
    hold.add(bytes)
    return hold
  }
  begin('a', 'a1', 500)
  const second = begin('a', 'a2', 500)
  begin('b', 'b1', 550)
  assert.deepEqual([gone, room.held], [[], 1550])
  begin('c', 'c1', 100)
  assert.deepEqual([gone, room.held], [['a1'], 1150])
  assert.equal(second.arrived(), true)
  begin('d', 'd1', 500)
  assert.deepEqual([gone, room.held], [['a1', 'b1'], 1100], 'what is worked on does not give way')
  assert.equal(begin('a', 'a3', 350).arrived(), false)
  assert.equal(begin('a', 'a4', 300).arrived(), true)
  second.release()
  second.release()
  assert.equal(room.held, 900)
})

test('a body that is not UTF-8 is refused, and a byte order mark is removed', async (t) => {
  const { url } = await build(t)
  const headers = { 'x-api-key': keys.api_key }
  const admin = { authorization: `Bearer ${adminToken}` }
  const latin = Buffer.from('{"name": "B\xfcro"}', 'latin1')
  const marked = Buffer.from('\ufeff{"name": "B\u00fcro"}')
  for (const [path, key] of [
    ['/api/v1/checks/', headers],
    ['/api/v3/checks/', headers],
    ['/api/v3/channels/', headers],
    ['/api/v3/projects/', admin],
  ] as const) {
    const refused = await exchange(url, { method: 'POST', path, headers: key, body: latin })
    assert.deepEqual([refused.status, /not valid UTF-8/.test(refused.text)], [400, true], path)
  }
  const made = await exchange(url, { method: 'POST', path: '/api/v3/checks/', headers, body: marked })
  assert.deepEqual([made.status, JSON.parse(made.text).name], [201, 'B\u00fcro'])
})

test('numbers are parsed as in Python, and no text takes long', () => {
  const rows: [text: string, value: unknown][] = [
    ['{"a": 60}', { a: 60 }],
    ['{"a": 60.0}', { a: Number.POSITIVE_INFINITY }],
    ['{"a": -6e1, "b": "6e1 \\" 1.5", "c": [1.5]}', { a: Infinity, b: '6e1 " 1.5', c: [Infinity] }],
    [`[${'9'.repeat(400)}, -${'9'.repeat(400)}, 1.5]`, [Number.MAX_VALUE, -Number.MAX_VALUE, Infinity]],
    ['1E2', Infinity],
  ]
  for (const [text, value] of rows) assert.deepEqual(parseJson(text), value, text)
  for (const text of ['{bad 1.5', '[01.5]', '[1.]', '[.5]', '[1.5.5]', '["1.5]', '[--1.5]', '[1.5e]', '']) {
    assert.throws(() => parseJson(text), SyntaxError, text)
  }
  const megabyte = (part: string) => `[1.5${part.repeat(Math.floor(2 ** 20 / part.length))}]`
  // A parser that calls a function for each value takes at least twenty times as long as the parser alone.
  const plain = leastMs(() => JSON.parse(megabyte(',{}')))
  for (const part of [',{}', ',[]', ',0', ',1.5', ',"1.5"', ',-1e9', '1', ' "', ',""']) {
    const text = megabyte(part)
    const ours = leastMs(() => parseJson(text))
    assert.ok(ours < 10 * plain, `${part}: ${ours} ms, and ${plain} ms for the parser alone`)
  }
})

function leastMs(work: () => void): number {
  const times = Array.from({ length: 5 }, () => {
    const began = performance.now()
    try {
      work()
    } catch (error) {
      assert.ok(error instanceof SyntaxError)
    }
    return performance.now() - began
  })
  return Math.min(...times)
}
