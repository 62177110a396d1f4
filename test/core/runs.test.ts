// Runs by their rid (https://healthchecks.io/docs/measuring_script_run_time/), with and without track_runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pairingMs } from '../../src/core/runs.ts'
import {
  type Change,
  type Flip,
  initialState,
  onHeartbeat,
  onPause,
  onTime,
  type Rules,
} from '../../src/core/status.ts'

const s = 1000
const rules: Rules = {
  schedule: { kind: 'simple', timeoutS: 365 * 86_400 },
  graceS: 60,
  maxRuntimeS: null,
  minRuntimeS: null,
  failureThreshold: null,
  recoveryThreshold: null,
  earlyToleranceS: null,
  pausedUntil: null,
  trackRuns: false,
}

type Beat = { kind: 'success' | 'fail' | 'start' | 'log'; at: number; rid: string | null }
type Step = Beat | { kind: 'pause' | 'look'; at: number }

/** Plays steps as the service does, and notes each heartbeat's duration and the state after it. */
function play(steps: readonly Step[], over: Partial<Rules> = {}) {
  const all = { ...rules, ...over }
  const flips: Flip[] = []
  const durations: (number | null)[] = []
  let state = initialState
  const take = (change: Change) => {
    state = change.state
    if (change.flip) flips.push(change.flip)
  }
  const states = steps.map((step) => {
    take(onTime(all, state, step.at, []))
    if (step.kind === 'pause') take(onPause(state, step.at))
    else if (step.kind !== 'look') {
      const heard = onHeartbeat(all, state, { ...(step as Beat), kind: step.kind, exitStatus: null }, [])
      durations.push(heard.durationMs)
      take(heard)
    }
    return state
  })
  return { state, states, flips, durations }
}

const beat = (kind: Beat['kind'], at: number, rid: string | null = null): Beat => ({ kind, at: at * s, rid })
const downs = (flips: readonly Flip[]) => flips.filter(({ to }) => to === 'down').map(({ at }) => at / s)

test('a run that an overlapping earlier rid ends has its duration', () => {
  const steps = [beat('start', 0, 'a'), beat('start', 10, 'b'), beat('success', 25, 'a'), beat('success', 30, 'b')]
  const { durations, states, state } = play(steps)
  assert.deepEqual(durations, [null, null, 25 * s, 20 * s])
  assert.deepEqual(
    [states[2]?.lastStartRid, states[2]?.lastDurationMs],
    ['b', null],
    'the check knows the latest alone',
  )
  assert.deepEqual([state.lastStart, state.lastDurationMs, state.openRuns], [null, 20 * s, []])
})

test('a heartbeat of the watched run ends it, and the check keeps the duration', () => {
  const cases: [name: string, steps: Step[], lastStart: number | null, lastDuration: number | null][] = [
    ['its own rid', [beat('start', 0, 'a'), beat('success', 5, 'a')], null, 5],
    ['no rid at all', [beat('start', 0), beat('success', 5)], null, 5],
    ['another rid succeeds', [beat('start', 0, 'a'), beat('success', 5, 'b')], 0, null],
    ['another rid fails', [beat('start', 0, 'a'), beat('fail', 5, 'b')], null, null],
    ['a success without rid', [beat('start', 0, 'a'), beat('success', 5)], null, null],
    ['a second start replaces it', [beat('start', 0, 'a'), beat('start', 4, 'b'), beat('success', 5, 'b')], null, 1],
    ['a log does not', [beat('start', 0, 'a'), beat('log', 5, 'a')], 0, null],
    ['a pause does', [beat('start', 0, 'a'), { kind: 'pause', at: 5 * s }], null, null],
    ['without an open run', [beat('start', 0), beat('success', 5), beat('success', 9)], null, null],
  ]
  for (const [name, steps, lastStart, lastDuration] of cases) {
    const { state } = play(steps)
    const expected = [lastStart, lastDuration === null ? null : lastDuration * s]
    assert.deepEqual([state.lastStart, state.lastDurationMs], expected, name)
  }
})

test('only the run that started last is watched, but with track_runs every run', () => {
  const steps: Step[] = [
    beat('start', 0, 'a'),
    beat('start', 50, 'b'),
    beat('success', 55, 'b'),
    { kind: 'look', at: 300 * s },
  ]
  assert.deepEqual(downs(play(steps).flips), [])
  assert.deepEqual(downs(play(steps, { trackRuns: true }).flips), [60])
})

test('with track_runs neither a failure nor a success without rid ends another run', () => {
  for (const kind of ['success', 'fail'] as const) {
    const steps = [beat('start', 0, 'a'), beat(kind, 5), beat('success', 8, 'a')]
    const { states, durations } = play(steps, { trackRuns: true })
    assert.deepEqual([states[1]?.lastStartRid, durations[2], states[2]?.lastDurationMs], ['a', 8 * s, 8 * s], kind)
  }
})

test('with track_runs a run that overran while the check was down causes no flip and keeps its duration', () => {
  const steps: Step[] = [
    beat('start', 0, 'a'),
    beat('start', 10, 'b'),
    beat('success', 100, 'c'),
    { kind: 'look', at: 110 * s },
    beat('success', 120, 'b'),
    beat('success', 130, 'a'),
  ]
  const { flips, durations } = play(steps, { trackRuns: true })
  assert.deepEqual(downs(flips), [60])
  assert.deepEqual(durations.slice(3), [110 * s, 130 * s])
})

test('switching track_runs off leaves only the latest run watched', () => {
  const { state } = play([beat('start', 0, 'a'), beat('start', 10, 'b')], { trackRuns: true })
  assert.deepEqual(downs([onTime(rules, state, 1000 * s, []).flip].filter((flip) => flip !== null)), [70])
  const ended = onHeartbeat(rules, state, { kind: 'success', at: 20 * s, rid: 'b', exitStatus: null }, [])
  assert.equal(ended.state.lastStart, null)
})

test('a run that is too short is a failure, whichever rid it overlaps', () => {
  const steps = [beat('start', 0, 'a'), beat('start', 1, 'b'), beat('success', 2, 'a')]
  assert.equal(play(steps, { minRuntimeS: 10 }).flips.at(-1)?.reason, 'too_short')
})

test('runs without an end are dropped: old ones, and those beyond the limit', () => {
  const { state } = play(Array.from({ length: 5000 }, (_, i) => beat('start', i, `${i}`)))
  assert.equal(state.openRuns.length, 32)
  assert.equal(play([...Array(3)].map((_, i) => beat('start', i * 80 * 3600, `${i}`))).state.openRuns.length, 0)
  const watched = play(
    Array.from({ length: 5000 }, (_, i) => beat('start', i / 1000, `${i}`)),
    { trackRuns: true },
  )
  assert.ok(watched.state.openRuns.length <= 532 && watched.state.openRuns.length >= 500)
})

const rid = fc.constantFrom(null, 'a', 'b', 'c')
const kind = fc.constantFrom('success', 'fail', 'start', 'start', 'log') as fc.Arbitrary<Beat['kind']>
const gap = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 90 * s }) },
  fc.integer({ max: 80 * 3_600_000, min: 0 }),
)

function stepsOf(beats: fc.Arbitrary<Step>): fc.Arbitrary<Step[]> {
  return fc.array(fc.tuple(gap, beats), { maxLength: 30 }).map((pairs) => {
    let at = 0
    return pairs.map(([wait, step]) => {
      at += wait
      return { ...step, at }
    })
  })
}

const anyBeats = stepsOf(fc.record({ kind, rid, at: fc.constant(0) })) as fc.Arbitrary<Beat[]>
const anySteps = stepsOf(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind, rid, at: fc.constant(0) }) },
    fc.record({ kind: fc.constantFrom('pause' as const, 'look' as const), at: fc.constant(0) }),
  ),
)

/** Catalogue 3.4, the slow way: the nearest earlier start of the same rid with no success or failure of it in between. */
function durationByHistory(beats: readonly Beat[], index: number): number | null {
  const { kind, rid, at } = beats[index] as Beat
  if (kind !== 'success' && kind !== 'fail') return null
  const before = beats.slice(0, index).findLast((other) => other.rid === rid && other.kind !== 'log')
  return before?.kind === 'start' && at - before.at <= pairingMs ? at - before.at : null
}

test('every duration equals the one that a search of the history finds', () => {
  fc.assert(
    fc.property(anySteps, fc.boolean(), (steps, trackRuns) => {
      const beats = steps.filter((step) => 'rid' in step)
      assert.deepEqual(
        play(steps, { trackRuns }).durations,
        beats.map((_, index) => durationByHistory(beats, index)),
      )
    }),
    { numRuns: 3000 },
  )
})

test('without track_runs the memory of other runs changes no status', () => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      let forgetful = initialState
      const flips: Flip[] = []
      for (const step of steps) {
        const note = ({ state, flip }: Change) => {
          forgetful = { ...state, openRuns: [] }
          if (flip) flips.push(flip)
        }
        note(onTime(rules, forgetful, step.at, []))
        if (step.kind === 'pause') note(onPause(forgetful, step.at))
        else if (step.kind !== 'look')
          note(onHeartbeat(rules, forgetful, { ...(step as Beat), kind: step.kind, exitStatus: null }, []))
      }
      const played = play(steps)
      assert.deepEqual(played.flips, flips)
      assert.deepEqual({ ...played.state, openRuns: [] }, forgetful)
    }),
    { numRuns: 2000 },
  )
})

test('with track_runs a check goes down only if its longest open run overruns, or by failures', () => {
  fc.assert(
    fc.property(anyBeats, (beats) => {
      // The slow way: each open run with its end; those that passed while down are over.
      let open = new Map<string | null, number>()
      let down = false
      const expected: number[] = []
      const pass = (now: number) => {
        const ends = [...open.values()].map((start) => start + rules.graceS * s)
        const first = Math.min(...ends)
        if (!down && first <= now) {
          down = true
          expected.push(first)
        }
      }
      for (const { kind, rid, at } of beats) {
        pass(at)
        if (kind === 'start') open.set(rid, at)
        if (kind !== 'success' && kind !== 'fail') continue
        open.delete(rid)
        open = new Map([...open].filter(([, start]) => start + rules.graceS * s > at))
        if (kind === 'fail' && !down) expected.push(at)
        down = kind === 'fail'
      }
      const { flips } = play(beats, { trackRuns: true })
      assert.deepEqual(
        flips.filter(({ to }) => to === 'down').map(({ at }) => at),
        expected,
      )
    }),
    { numRuns: 3000 },
  )
})
