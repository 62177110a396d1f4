import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Allowance, allowanceAt, type Pace } from '../../src/kit/pace.ts'

test('a pace begins with a burst, and regains its rate per minute', () => {
  const pace: Pace = { burst: 5, perMinute: 60 }
  assert.deepEqual(allowanceAt(pace, undefined, 1000), { left: 5, at: 1000 })
  assert.deepEqual(allowanceAt(pace, { left: 0, at: 1000 }, 1500), { left: 0.5, at: 1500 })
  assert.deepEqual(allowanceAt(pace, { left: 0, at: 1000 }, 61_000), { left: 5, at: 61_000 })
  assert.deepEqual(allowanceAt(pace, { left: 2, at: 1000 }, 500), { left: 2, at: 500 })
})

test('a pace never admits more than the burst and the rate together', () => {
  const paces = fc.record({ burst: fc.integer({ min: 1, max: 20 }), perMinute: fc.integer({ min: 1, max: 600 }) })
  fc.assert(
    fc.property(paces, fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 300 }), (pace, pauses) => {
      let allowance: Allowance | undefined
      let [at, passed] = [0, 0]
      for (const pause of pauses) {
        at += pause
        allowance = allowanceAt(pace, allowance, at)
        if (allowance.left < 1) continue
        allowance = { ...allowance, left: allowance.left - 1 }
        passed++
      }
      assert.ok(passed <= pace.burst + (at * pace.perMinute) / 60_000 + 1e-6)
    }),
  )
})
