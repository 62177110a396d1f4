// Requests as Uptime Kuma's own clients send them, and its answers (server/routers/api-router.js).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFaultProxy } from '../../fault-proxy.ts'
import { build, call as callAt, eventually, keys, type Running } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'

const token = 'pQ4mC1kF7uJ2xS9aZ3rT6wB8nE5vH0dY'
const notFound = '{"ok":false,"msg":"Monitor not found or not active."}'
const badPing = '{"ok":false,"msg":"Invalid ping value. Must be between 0 and 100000000000 ms."}'

const make = async ({ call }: Running, settings: object = {}) =>
  (await call('POST', '/api/v3/checks/', { push_token: token, ...settings })).json()

const statusOf = async ({ call }: Running, uuid: unknown) => (await call('GET', `/api/v3/checks/${uuid}`)).json().status

test('only the status of a push decides between up and down, whatever its method', async (t) => {
  const running = await build(t)
  const { uuid } = await make(running)
  const cases: [method: string, query: string, status: string][] = [
    ['GET', '?status=up&msg=OK&ping=', 'up'],
    ['GET', '?status=UP', 'down'],
    ['POST', '?status=', 'up'],
    ['PUT', '?status=down&msg=disk%20full&ping=12abc', 'down'],
    ['HEAD', '', 'up'],
    ['PATCH', '?status=ok', 'down'],
    ['DELETE', '?status=up&ping=abc', 'up'],
    ['GET', '?status=up&status=up', 'down'],
    ['GET', '/?status=up', 'up'],
  ]
  for (const [method, query, status] of cases) {
    const answer = await running.call(method, `/api/push/${token}${query}`, method === 'POST' ? '{broken' : undefined)
    assert.equal(answer.status, 200, `${method} ${query}`)
    if (method !== 'HEAD') assert.equal(answer.text, '{"ok":true}')
    assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8')
    // As every address below /api/: pages of any origin may send.
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    assert.equal(await statusOf(running, uuid), status, `${method} ${query}`)
  }
  const { pings } = (await running.call('GET', `/api/v3/checks/${uuid}/pings/`)).json() as { pings: { n: number }[] }
  assert.equal(pings.length, cases.length)
  const body = await running.call('GET', `/api/v3/checks/${uuid}/pings/4/body`)
  assert.equal(body.text, 'disk full')
})

test('every refused push is a 404 in the words of Uptime Kuma', async (t) => {
  const running = await build(t)
  const { uuid } = await make(running)
  const answers: [path: string, text: string][] = [
    [`/api/push/${token.toLowerCase()}`, notFound],
    ['/api/push/x', notFound],
    [`/api/push/${'x'.repeat(300)}?status=up`, notFound],
    ['/api/push/%00', notFound],
    ['/api/push/x?ping=-1', badPing],
    [`/api/push/${token}?ping=1e12`, badPing],
  ]
  for (const [path, text] of answers) {
    const answer = await running.call('GET', path)
    assert.deepEqual([answer.status, answer.text], [404, text], path)
  }
  await running.call('POST', `/api/v3/checks/${uuid}/pause`)
  const paused = await running.call('GET', `/api/push/${token}?status=up`)
  assert.deepEqual([paused.status, paused.text], [404, notFound])
  assert.equal(await statusOf(running, uuid), 'paused')
})

test('a push token is unique, bounded, shown only to read-write keys, and stays with its project', async (t) => {
  const databaseUrl = await createDatabase(t)
  const running = await build(t, { DATABASE_URL: databaseUrl })
  const { call, url } = running
  const { uuid, push_token } = await make(running)
  assert.equal(push_token, token)
  for (const bad of ['short', 'x'.repeat(65), `${token.slice(0, 30)}/x`, 5])
    assert.equal((await call('POST', '/api/v3/checks/', { push_token: bad })).status, 400, String(bad))
  const second = await call('POST', '/api/v3/checks/', { push_token: token })
  assert.equal(second.status, 409)
  const shown = await callAt(url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': keys.api_key_readonly })
  assert.ok(!shown.text.includes(token))
  await call('POST', `/api/v3/checks/${uuid}`, { push_token: `${token}2` })
  assert.equal((await call('GET', `/api/push/${token}`)).status, 404)
  assert.equal((await call('GET', `/api/push/${token}2`)).status, 200)
  await call('DELETE', `/api/v3/checks/${uuid}`)
  assert.equal((await call('GET', `/api/push/${token}2`)).status, 404)
  const kept = await sql<{ n: string }>(
    databaseUrl,
    "SELECT count(*) AS n FROM retired_addresses WHERE kind = 'push_token'",
  )
  assert.equal(kept[0]?.n, '2')
  await sql(databaseUrl, 'UPDATE retired_addresses SET project_id = gen_random_uuid() WHERE value = $1', [
    Buffer.from(token),
  ])
  assert.equal((await call('POST', '/api/v3/checks/', { push_token: token })).status, 409)
  assert.equal((await call('POST', '/api/v3/checks/', { push_token: `${token}2` })).status, 201)
})

test('a push that is acknowledged while the database is unavailable is recorded later', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const running = await build(t, { DATABASE_URL: proxy.url })
  const { uuid } = await make(running)
  await proxy.set('refuse')
  await eventually('the spool in use', async () => {
    await running.call('GET', `/api/push/${token}?msg=early`)
    return running.app.heartbeats.failover?.active
  })
  const answer = await running.call('GET', `/api/push/${token}?status=down&msg=late`)
  assert.deepEqual([answer.status, answer.text], [200, '{"ok":true}'])
  await proxy.set('pass')
  await eventually('it to be recorded', async () => (await statusOf(running, uuid)) === 'down')
})
