import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createSlots, type SlotRequest, type Slots } from '../../src/channels/sending/slots.ts'

const call = { succeed() {}, fail() {}, release() {} }

const projectId = 'p'

function takeAll(slots: Slots, request: SlotRequest) {
  const taken: ReturnType<Slots['take']>[] = []
  while (slots.isFree(request)) taken.push(slots.take(request, call))
  return taken
}

const hog = (n: number, hogs: number) => ({
  channelId: `c ${n}`,
  kind: Math.floor(n / hogs) % 2 ? 'webhook' : 'slack',
  projectId: `hog ${n % hogs}`,
})

suite('the slots of a replica', () => {
  test('a hanging channel gets only a few slots at a time', () => {
    const slots = createSlots(64)
    const hanging = { channelId: 'a', kind: 'webhook', projectId }
    assert.equal(takeAll(slots, hanging).length, 4)
    assert.deepEqual(slots.busy().channels, ['a'])
    assert.ok(slots.isFree({ channelId: 'b', kind: 'webhook', projectId }))
  })

  test('a working channel gets up to a quarter of all slots, and a failing one a single slot', () => {
    const slots = createSlots(64)
    const a = { channelId: 'a', kind: 'webhook', projectId }
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

  test('one kind of channel leaves a quarter of the slots to the others', () => {
    const slots = createSlots(64)
    for (let n = 0; n < 100; n++) takeAll(slots, { channelId: `slack ${n}`, kind: 'slack', projectId: `p ${n}` })
    assert.equal(slots.free(), 16)
    assert.deepEqual(slots.busy().kinds, ['slack'])
    assert.ok(slots.isFree({ channelId: 'mail', kind: 'email', projectId }))
  })

  test('a project without slots gets one while a few others take all that they can', () => {
    for (const all of [16, 64, 200])
      for (const hogs of [1, 2]) {
        const slots = createSlots(all)
        for (let n = 0; n < 2 * 40 * hogs; n++) takeAll(slots, hog(n, hogs))
        for (const kind of ['webhook', 'slack', 'email'])
          assert.ok(slots.isFree({ channelId: 'new', kind, projectId: 'new' }), `${hogs} of ${all}, ${kind}`)
      }
  })

  test('a project without slots gets one once each of many others has finished its first message', () => {
    for (const hogs of [3, 10, 20]) {
      const slots = createSlots(64)
      const underWay: ReturnType<Slots['take']>[] = []
      for (let turn = 0; turn < 1000; turn++) {
        underWay.shift()?.leave()
        for (let n = 0; n < hogs; n++) underWay.push(...takeAll(slots, hog(turn * hogs + n, hogs)))
        if (turn > 500) assert.ok(slots.isFree({ channelId: 'new', kind: 'webhook', projectId: 'new' }), `${hogs}`)
      }
    }
  })

  test('a project alone gets up to two thirds of all slots and of the slots of a kind', () => {
    const slots = createSlots(64)
    for (let n = 0; n < 40; n++) takeAll(slots, { channelId: `a ${n}`, kind: 'webhook', projectId })
    assert.equal(slots.free(), 32)
    assert.deepEqual(slots.busy().pairs, ['p/webhook'])
    for (let n = 0; n < 40; n++) takeAll(slots, { channelId: `b ${n}`, kind: 'slack', projectId })
    assert.equal(slots.free(), 22)
    assert.deepEqual(slots.busy().projects, ['p'])
  })

  test('slots are returned one by one, and no memory of waiting projects remains', () => {
    const slots = createSlots(8)
    for (let round = 0; round < 100; round++)
      for (const { leave } of takeAll(slots, { channelId: `c ${round}`, kind: 'webhook', projectId: `p ${round}` }))
        leave()
    assert.equal(slots.free(), 8)
    assert.deepEqual(slots.busy(), { channels: [], kinds: [], projects: [], pairs: [] })
  })

  test('tests get up to a quarter of the slots, in turn, and the next one when a slot is returned', async () => {
    const slots = createSlots(8)
    const { signal } = new AbortController()
    const requestOf = (n: number) => ({ channelId: `c ${n}`, kind: 'webhook', projectId: `p ${n}` })
    const first = await slots.waitForTest(requestOf(0), signal)
    await slots.waitForTest(requestOf(1), signal)
    let third: (() => void) | null | undefined
    const waiting = slots.waitForTest(requestOf(2), signal).then((leave) => (third = leave))
    await Promise.resolve()
    assert.deepEqual([slots.free(), third], [6, undefined])
    first?.()
    await waiting
    assert.equal(typeof third, 'function')
    assert.equal(slots.free(), 6)
    assert.equal(await slots.waitForTest(requestOf(3), AbortSignal.abort()), null)
    const impatient = new AbortController()
    const gone = slots.waitForTest(requestOf(4), impatient.signal)
    impatient.abort()
    assert.equal(await gone, null)
    third?.()
    assert.equal(slots.free(), 7)
  })
})
