import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from '../../src/database/clock.ts'

function fakes(wallStart = 1_000_000) {
  let monotonic = 0
  const clock = createClock(
    () => monotonic,
    () => wallStart + monotonic,
  )
  return { clock, pass: (ms: number) => (monotonic += ms) }
}

test('the clock follows that of the server, whatever the wall clock of this machine says', () => {
  const { clock, pass } = fakes()
  clock.correct(5_000_000, 0, 0)
  assert.equal(clock.now(), 5_000_000)
  pass(1500)
  assert.equal(clock.now(), 5_001_500)
})

test('a slow answer does not shift the clock further than it proves necessary', () => {
  const { clock, pass } = fakes()
  clock.correct(1_000_000, 0, 0)
  pass(800)
  clock.correct(1_000_010, 0, 800)
  assert.equal(clock.now(), 1_000_800)
  pass(2)
  clock.correct(1_000_900, 800, 802)
  assert.equal(clock.now(), 1_000_900, 'the least correction that fits')
})

test('a small correction backwards waits until time has caught up, a large one applies at once', () => {
  const { clock, pass } = fakes()
  assert.equal(clock.now(), 1_000_000)
  clock.correct(999_000, 0, 0)
  assert.equal(clock.now(), 1_000_000)
  pass(1001)
  assert.equal(clock.now(), 1_000_001)
  clock.correct(500_000, 1001, 1001)
  assert.equal(clock.now(), 500_000)
})

test('a clock that was set is distinguished from one that drifts', () => {
  const { clock, pass } = fakes()
  pass(100)
  clock.correct(1_000_500, 100, 100)
  assert.equal(clock.steppedAt(), Number.NEGATIVE_INFINITY)
  pass(100)
  clock.correct(1_010_000, 200, 200)
  assert.equal(clock.steppedAt(), 200, 'forward')
  pass(100)
  clock.correct(1_000_300, 300, 300)
  assert.equal(clock.steppedAt(), 300, 'and back')
})
