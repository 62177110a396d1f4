// The `state` that Cronitor's clients add to a ping address, as cronitor-js sends it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, keys, type Running } from '../../helper.ts'

const client = '&series=abc&host=h%201&stamp=1764412800.123&env=staging'

async function pingsOf({ call }: Running, uuid: string): Promise<string[]> {
  const { pings } = (await call('GET', `/api/v3/checks/${uuid}/pings/`)).json() as { pings: { type: string }[] }
  return pings.map(({ type }) => type).reverse()
}

/** Each address of one check, below which a state may follow. */
const addressesOf = (uuid: string) => [
  `/ping/${keys.ping_key}/job`,
  `/${keys.ping_key}/job`,
  `/ping/${uuid}`,
  `/${uuid}`,
]

test('a state sets the kind of a ping at every address and for every method', async (t) => {
  const running = await build(t)
  const { call } = running
  const uuid = String((await call('POST', '/api/v3/checks/', { slug: 'job' })).json().uuid)
  const meanings = { run: 'start', complete: 'success', ok: 'success', tick: 'success', fail: 'fail', FAIL: 'fail' }
  const expected: string[] = []
  for (const [state, kind] of Object.entries(meanings)) {
    for (const address of addressesOf(uuid)) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        assert.equal((await call(method, `${address}?state=${state}${client}`, undefined, {})).status, 200, state)
        expected.push(kind)
      }
    }
  }
  assert.deepEqual(await pingsOf(running, uuid), expected)
})

test('an unknown state, or one that contradicts the address, is refused and not recorded', async (t) => {
  const running = await build(t)
  const { call } = running
  const uuid = String((await call('POST', '/api/v3/checks/', { slug: 'job' })).json().uuid)
  const unknown = ['pause', 'failed', 'bogus', '', 'constructor', '__proto__', 'ok%00', '%20fail', 'fail,ok']
  const contradictions = ['/0?state=fail', '/start?state=complete', '/fail?state=ok', '/1?state=run', '/log?state=tick']
  const suffixes = [
    ...unknown.map((state) => `?state=${state}`),
    ...contradictions,
    '/fail?state=bogus',
    '?state=fail&state=bogus',
  ]
  for (const address of addressesOf(uuid)) {
    for (const suffix of suffixes) {
      const { status, text, headers } = await call('GET', address + suffix, undefined, {})
      assert.equal(status, 400, suffix)
      assert.match(text, /^invalid state, it is one of run, complete, ok, tick, fail /, suffix)
      assert.match(String(headers.get('content-type')), /^text\/plain/)
    }
  }
  assert.deepEqual(await pingsOf(running, uuid), [])
})

test('a state that agrees with the address keeps the exit status, and the last of several counts', async (t) => {
  const running = await build(t)
  const { call } = running
  const uuid = String((await call('POST', '/api/v3/checks/', { slug: 'job' })).json().uuid)
  for (const suffix of ['/3?state=fail', '/0?state=ok', '/start?state=run', '?state=bogus&state=fail'])
    assert.equal((await call('GET', `/ping/${keys.ping_key}/job${suffix}`, undefined, {})).status, 200, suffix)
  assert.deepEqual(await pingsOf(running, uuid), ['fail', 'success', 'start', 'fail'])
})

test('a refused state creates no check, and a known one creates it with its signal', async (t) => {
  const running = await build(t)
  const { call } = running
  const address = `/ping/${keys.ping_key}/made?create=1&state=`
  assert.equal((await call('GET', `${address}bogus`, undefined, {})).status, 400)
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [] })
  assert.equal((await call('GET', `${address}fail`, undefined, {})).status, 201)
  const { checks } = (await call('GET', '/api/v3/checks/')).json() as { checks: { uuid: string; status: string }[] }
  assert.deepEqual(
    checks.map(({ status }) => status),
    ['down'],
  )
  assert.equal((await call('GET', `/ping/${keys.ping_key}/nobody?state=bogus`, undefined, {})).status, 404)
})
