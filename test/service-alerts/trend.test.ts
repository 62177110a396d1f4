import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTrend } from '../../src/service-alerts/trend.ts'

const calm = { cpuMicros: 0, heapUsedBytes: 100, databaseAttempts: 0, databaseFailures: 0, waiting: 0 }
const second = 1000

test('a figure is null until its window is full, and then says what changed within it', () => {
  const add = createTrend()
  // The start uses the whole core for ten seconds, and half of it afterwards.
  const cpuAt = (s: number) => (Math.min(s, 10) + Math.max(0, s - 10) / 2) * 1_000_000
  const reading = (s: number) => ({
    ...calm,
    at: s * second,
    cpuMicros: cpuAt(s),
    heapUsedBytes: s % 60 === 0 ? 50 : 90,
  })
  for (let s = 0; s < 300; s += 15) {
    const { cpuShare, heapUsedBytes } = add(reading(s))
    assert.deepEqual([cpuShare, heapUsedBytes], [null, null], `${s} s`)
  }
  const full = add(reading(300))
  assert.equal(full.heapUsedBytes, 50)
  assert.ok(Math.abs(Number(full.cpuShare) - 155 / 300) < 1e-9)
  assert.equal(add(reading(315)).cpuShare, 0.5, 'the start has left the window')
})

test('failures of the database count over half a minute as a share, and over five minutes as a number', () => {
  const add = createTrend()
  const at = (s: number, databaseAttempts: number, databaseFailures: number) =>
    add({ ...calm, at: s * second, databaseAttempts, databaseFailures })
  assert.equal(at(0, 100, 0).databaseFailureShare, null)
  assert.deepEqual([at(15, 200, 3).databaseFailureShare, at(30, 300, 20).databaseFailureShare], [null, 0.1])
  const later = at(60, 400, 20)
  assert.deepEqual([later.databaseFailureShare, later.databaseFailures], [0, 20])
  for (let s = 75; s < 330; s += 15) at(s, 400, 20)
  assert.equal(at(330, 400, 20).databaseFailures, 0)
  assert.equal(at(345, 400, 20).databaseFailureShare, null, 'the database was not used')
})

test('callers wait for connections only if some wait at every look of two minutes', () => {
  const add = createTrend()
  const waiting = (s: number, count: number) => add({ ...calm, at: s * second, waiting: count }).waiting
  for (let s = 0; s < 120; s += 15) assert.equal(waiting(s, 5), 0)
  assert.equal(waiting(120, 3), 3)
  assert.equal(waiting(135, 0), 0)
  assert.equal(waiting(150, 9), 0)
})
