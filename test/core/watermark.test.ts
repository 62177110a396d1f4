import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameUnheard, openWatermark, type ReplicaReport, type Unheard, watermarkOf } from '../../src/core/watermark.ts'

const minute = 60_000
const patience = { afterOutageMs: 5 * minute, unheardMs: minute }
const now = 10_000_000
const report = (given: Partial<ReplicaReport>): ReplicaReport => ({
  ...{ id: 'r', name: 'host', heardThrough: now - 300, seenAt: now - 300, canSpool: true },
  ...given,
})

test('a single replica waits for nobody', () => {
  assert.deepEqual(watermarkOf([], null, patience, now), openWatermark)
})

test('the replica with the earliest report determines the watermark', () => {
  const replicas = [report({}), report({ id: 's', heardThrough: now - 20_000, seenAt: now - 100 })]
  assert.deepEqual(watermarkOf(replicas, null, patience, now), { through: now - 20_000, unheard: [] })
})

test('a replica that does not report holds the watermark for a minute and is then named', () => {
  const lost = report({ heardThrough: now - minute + 1, seenAt: now - minute + 1 })
  assert.equal(watermarkOf([lost], null, patience, now).through, now - minute + 1)
  const { through, unheard } = watermarkOf([lost], null, patience, now + 1)
  assert.equal(through, Number.POSITIVE_INFINITY)
  assert.deepEqual(unheard, [{ name: 'host', from: lost.heardThrough, to: lost.heardThrough + minute }])
})

test('a replica without a spool is waited for as long as a commit takes, and never named', () => {
  const lost = report({ heardThrough: now - 5000, seenAt: now - 5000, canSpool: false })
  assert.deepEqual(watermarkOf([lost], null, patience, now), openWatermark)
  assert.equal(watermarkOf([lost], null, patience, now - 1).through, lost.heardThrough)
})

test('after an outage that all replicas saw each has five minutes to come back', () => {
  const outage = { from: now - 100 * minute, to: now - 4 * minute }
  const lost = report({ heardThrough: outage.from, seenAt: outage.from })
  assert.equal(watermarkOf([lost], outage, patience, now).through, outage.from)
  assert.equal(watermarkOf([lost], outage, patience, now + minute).through, Number.POSITIVE_INFINITY)
})

test('a replica that was given up before an outage is not waited for again after it', () => {
  const outage = { from: now - 10 * minute, to: now - minute }
  const lost = report({ heardThrough: now - 20 * minute, seenAt: now - 20 * minute })
  assert.equal(watermarkOf([lost], outage, patience, now).through, Number.POSITIVE_INFINITY)
})

test('a replica that reports and still spools is waited for at most five minutes', () => {
  const slow = report({ heardThrough: now - 5 * minute + 1, seenAt: now - 100 })
  assert.equal(watermarkOf([slow], null, patience, now).through, slow.heardThrough)
  assert.equal(watermarkOf([slow], null, patience, now + 1).through, Number.POSITIVE_INFINITY)
})

test('a flip names the replica that was not heard during its wait, and no other flip does', () => {
  const unheard = [{ name: 'host', from: 100, to: 200 }]
  const named = (flip: { at: number; since?: number; unheard?: Unheard | null }) => nameUnheard(flip, unheard).unheard
  assert.deepEqual(named({ at: 150, since: 50 }), unheard[0])
  assert.equal(named({ at: 100, since: 50 }), null)
  assert.equal(named({ at: 250, since: 200 }), null)
  assert.equal(named({ at: 150 }), undefined)
})
