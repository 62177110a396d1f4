// Tests of channels are limited: one at a time for each channel, a few per minute for each project, and never more
// sockets than slots.

import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { suite, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { listen } from '../fake-destination.ts'
import { build, eventually, keys } from '../helper.ts'

const channels = '/api/v3/channels/'
const hook = (url: string) => ({ kind: 'webhook', name: 'hook', settings: { url } })

/** Holds requests until it is opened, and counts those that it holds at once. */
async function createDoor(t: TestContext) {
  const held: (() => void)[] = []
  const counts = { underWay: 0, most: 0, seen: 0 }
  let isOpen = false
  const handler: RequestListener = (_request, response) => {
    counts.seen++
    counts.most = Math.max(counts.most, ++counts.underWay)
    response.once('close', () => counts.underWay--)
    if (isOpen) return void response.end()
    held.push(() => response.end())
  }
  const url = await listen(t, handler)
  return {
    url,
    counts,
    open() {
      isOpen = true
      for (const answer of held.splice(0)) answer()
    },
  }
}

suite('tests of channels', () => {
  test('tests of one channel run one at a time: another one meanwhile is answered 429', async (t) => {
    const { call } = await build(t)
    const door = await createDoor(t)
    const { id } = (await call('POST', channels, hook(door.url))).json()
    const first = call('POST', `${channels}${id}/test/`)
    await eventually('the first', () => door.counts.seen === 1)
    const second = await call('POST', `${channels}${id}/test/`)
    assert.deepEqual([second.status, second.json().code], [429, 'too_many_requests'])
    assert.ok(Number(second.headers.get('retry-after')) >= 1)
    door.open()
    assert.deepEqual((await first).json(), { delivered: true, error: null })
    assert.equal(door.counts.seen, 1)
    assert.equal((await call('POST', `${channels}${id}/test/`)).status, 200)
  })

  test('a project may test channels a few times a minute, independently of other projects', async (t) => {
    const { call } = await build(t, { FLATLINE__ALERTING__TESTS_PER_MINUTE: '3' })
    const door = await createDoor(t)
    door.open()
    const { id } = (await call('POST', channels, hook(door.url))).json()
    const statuses: number[] = []
    for (let n = 0; n < 5; n++) statuses.push((await call('POST', `${channels}${id}/test/`)).status)
    assert.deepEqual(statuses, [200, 200, 200, 429, 429])
    const admin = { authorization: 'Bearer test-admin-token-000000000000000000' }
    const { api_key } = (await call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()
    const own = { 'x-api-key': String(api_key) }
    const other = (await call('POST', channels, hook(door.url), own)).json()
    assert.equal((await call('POST', `${channels}${other.id}/test/`, undefined, own)).status, 200)
  })

  test('many simultaneous tests of a group of fifty channels open only a few sockets', async (t) => {
    const { call } = await build(t)
    const door = await createDoor(t)
    const members: string[] = []
    for (let n = 0; n < 50; n++)
      members.push(String((await call('POST', channels, hook(`${door.url}/${n}`))).json().id))
    const group = { kind: 'group', name: 'all', settings: { channels: members } }
    const { id } = (await call('POST', channels, group)).json()
    const calls = Array.from({ length: 24 }, () => call('POST', `${channels}${id}/test/`))
    await eventually('the first ones', () => door.counts.seen >= 4)
    await turn()
    door.open()
    const answers = await Promise.all(calls)
    const delivered = answers.filter(({ status }) => status === 200)
    assert.equal(delivered.length, 1)
    assert.deepEqual(delivered[0]?.json(), { delivered: true, error: null })
    assert.ok(answers.every(({ status }) => status === 200 || status === 429))
    assert.deepEqual([door.counts.seen, door.counts.most <= 4], [50, true])
    const next = await call('POST', `${channels}${members[0]}/test/`)
    assert.equal(next.status, 429, 'a group counts as much as it has channels')
  })

  test('tests of all projects together use a quarter of the slots, and the rest waits in turn', async (t) => {
    const { call } = await build(t, { FLATLINE__ALERTING__CONCURRENCY: '8' })
    const door = await createDoor(t)
    const ids: string[] = []
    for (let n = 0; n < 6; n++) ids.push(String((await call('POST', channels, hook(`${door.url}/${n}`))).json().id))
    const calls = ids.map((id) => call('POST', `${channels}${id}/test/`, undefined, { 'x-api-key': keys.api_key }))
    await eventually('two', () => door.counts.seen === 2)
    door.open()
    for (const answer of await Promise.all(calls)) assert.deepEqual(answer.json(), { delivered: true, error: null })
    assert.deepEqual([door.counts.seen, door.counts.most], [6, 2])
  })
})
