import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pingLimitPauseMs, pingLimitWindowMs } from '../../src/core/ping-limit.ts'

test('a ping must wait until fewer pings than the limit lie within the minute before it', () => {
  const cases: [recorded: number[], max: number, at: number, pause: number][] = [
    [[], 1, 0, 0],
    [[0], 1, 59_999, 1],
    [[0], 1, 60_000, 0],
    [[0, 10_000, 20_000], 3, 30_000, 30_000],
    [[20_000, 0, 10_000], 2, 30_000, 40_000],
    [[0, 10_000, 20_000], 4, 30_000, 0],
  ]
  for (const [recorded, max, at, pause] of cases) assert.equal(pingLimitPauseMs(recorded, max, at), pause)
})

test('no minute ever has more pings than the limit, and a client that waits as asked is recorded', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (gaps, max) => {
      const recorded: number[] = []
      let at = 0
      for (const gap of gaps) {
        at += gap
        const pause = pingLimitPauseMs(recorded, max, at)
        assert.ok(pause >= 0 && pause <= pingLimitWindowMs)
        assert.equal(pingLimitPauseMs(recorded, max, at + pause), 0)
        if (pause === 0) recorded.push(at)
      }
      for (const end of recorded)
        assert.ok(recorded.filter((instant) => instant > end - pingLimitWindowMs && instant <= end).length <= max)
    }),
  )
})
