// Outages of any length. A check whose job follows its schedule, and retries after an outage, never goes down. A check
// that falls silent goes down after the length of its wait without the outage, and its flip names the outage.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultSettings } from '../../src/checks/fields/fields.ts'
import { type BlindWindow, endOfWait, windowDuring } from '../../src/core/blind-time.ts'
import { rulesOf } from '../../src/core/check.ts'
import { type Flip, initialState, onHeartbeat, onTime, type State } from '../../src/core/status.ts'

const day = 86_400_000
const beats = 20

const outages = fc.array(
  fc.record({
    pauseMs: fc.oneof(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 3 * day })),
    lengthMs: fc.oneof(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 30 * day })),
  }),
  { maxLength: 6 },
)
const life = fc.record({
  timeoutS: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 86_400 })),
  graceS: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 3600 })),
  outages,
  lookEvery: fc.double({ min: 0.05, max: 2, noNaN: true }),
  retryShare: fc.double({ min: 0, max: 0.99, noNaN: true }),
})

type Life = typeof life extends fc.Arbitrary<infer T> ? T : never

function windowsOf(pauses: readonly { pauseMs: number; lengthMs: number }[]): BlindWindow[] {
  let at = 0
  return pauses.map(({ pauseMs, lengthMs }) => {
    const from = at + pauseMs
    at = from + lengthMs
    return { from, to: at }
  })
}

/** A window is known when it is over; until then nothing is detected, and no heartbeat is accepted. */
const knownAt = (windows: readonly BlindWindow[], at: number) => windows.filter(({ to }) => to <= at)
const during = (windows: readonly BlindWindow[], at: number) => windows.find(({ from, to }) => from <= at && at < to)

/** When a client that meant to beat at `at` is heard, which waits for `retryMs` after an outage. */
function heardAt(windows: readonly BlindWindow[], at: number, retryMs: number): number {
  const window = during(windows, at)
  return window ? heardAt(windows, window.to + retryMs, retryMs) : at
}

/** Beats every `timeoutS` and is looked at in between; returns what has become of it. */
function live({ timeoutS, graceS, lookEvery, retryShare, outages: pauses }: Life) {
  const windows = windowsOf(pauses)
  const rules = rulesOf({ ...defaultSettings, kind: 'simple', timeoutS, graceS })
  const retryMs = Math.floor((graceS * 1000 * retryShare) / (windows.length + 1))
  const flips: Flip[] = []
  let state: State = initialState
  let lastBeat = 0
  const pass = (at: number) => {
    const { state: next, flip } = onTime(rules, state, at, knownAt(windows, at))
    state = next
    if (flip) flips.push(flip)
  }
  let looked = 0
  const lookUntil = (until: number) => {
    const everyMs = Math.max(1, Math.floor(timeoutS * 1000 * lookEvery))
    // A check with a heartbeat each second would need too many steps for weeks.
    const from = Math.max(looked, until - 200 * everyMs)
    for (let at = from; at < until; at += everyMs) if (!during(windows, at)) pass(at)
    looked = until
  }
  for (let n = 0; n < beats; n++) {
    const at = heardAt(windows, n * timeoutS * 1000, retryMs)
    if (at < lastBeat) continue
    lookUntil(at)
    pass(at)
    const heard = onHeartbeat(rules, state, { kind: 'success', at, rid: null, exitStatus: null }, knownAt(windows, at))
    state = heard.state
    if (heard.flip) flips.push(heard.flip)
    lastBeat = at
  }
  return { rules, windows, state, flips, lastBeat, waitMs: (timeoutS + graceS) * 1000 }
}

test('a job that follows its schedule, and retries after an outage, never goes down', () => {
  fc.assert(
    fc.property(life, (given) => {
      const { flips } = live(given)
      assert.deepEqual(
        flips.map(({ to }) => to),
        ['up'],
      )
    }),
    { numRuns: 1000 },
  )
})

test('a silent check goes down at its deadline, which outages move, and the last outage is named', () => {
  fc.assert(
    fc.property(life, (given) => {
      const { rules, windows, state, lastBeat, waitMs } = live(given)
      const end = endOfWait(lastBeat, waitMs, windows)
      assert.equal(onTime(rules, state, end - 1, windows).flip, null)
      const { flip } = onTime(rules, state, end, windows)
      assert.deepEqual([flip?.to, flip?.reason, flip?.at], ['down', 'timeout', end])
      assert.deepEqual(flip?.blind, windowDuring(lastBeat, end, windows))
      const overlapped = windows.filter(({ from, to }) => from < end && to > lastBeat)
      assert.deepEqual(flip?.blind, overlapped.at(-1) ?? null)
      const blindMs = overlapped.reduce((sum, { from, to }) => sum + to - Math.max(from, lastBeat), 0)
      assert.equal(end, lastBeat + waitMs + blindMs)
    }),
    { numRuns: 1000 },
  )
})
