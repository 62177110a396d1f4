import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createSlots } from '../../src/alerting/slots.ts'

const call = { succeed() {}, fail() {}, release() {} }

function takeAll(slots: ReturnType<typeof createSlots>, destined: { channelId: string; kind: string }) {
  const taken = []
  while (slots.isFree(destined)) taken.push(slots.take(destined, call))
  return taken
}

suite('the slots of a replica', () => {
  test('go to a channel that hangs only a few at a time', () => {
    const slots = createSlots(64)
    const hanging = { channelId: 'a', kind: 'webhook' }
    assert.equal(takeAll(slots, hanging).length, 4)
    assert.deepEqual(slots.busy().channels, ['a'])
    assert.ok(slots.isFree({ channelId: 'b', kind: 'webhook' }))
  })

  test('go to one that works up to a quarter of all, and to one that fails one by one', () => {
    const slots = createSlots(64)
    const a = { channelId: 'a', kind: 'webhook' }
    const all = takeAll(slots, a)
    for (let n = 0; n < 20; n++) {
      const ended = all.shift()
      ended?.watched.succeed()
      ended?.leave()
      all.push(...takeAll(slots, a))
    }
    assert.equal(all.length, 16)
    const [first, ...others] = all
    first?.watched.fail('http_500')
    first?.leave()
    for (const other of others.slice(0, 14)) other.leave()
    assert.equal(slots.isFree(a), false)
    others.at(-1)?.leave()
    assert.equal(slots.isFree(a), true)
    assert.equal(slots.free(), 64)
  })

  test('of one kind leave a quarter to the others', () => {
    const slots = createSlots(64)
    for (let n = 0; n < 20; n++) takeAll(slots, { channelId: `slack ${n}`, kind: 'slack' })
    assert.equal(slots.free(), 16)
    assert.deepEqual(slots.busy().kinds, ['slack'])
    assert.ok(slots.isFree({ channelId: 'mail', kind: 'email' }))
  })
})
