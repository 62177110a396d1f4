import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BlindWindow, endOfWait } from '../../src/core/blind-time.ts'
import type { HeartbeatKind } from '../../src/core/heartbeat.ts'
import {
  type Change,
  deadlineOf,
  type Flip,
  initialState,
  onHeartbeat,
  onPause,
  onReschedule,
  onResume,
  onTime,
  type Rules,
  readingAt,
  type State,
} from '../../src/core/status.ts'

const s = 1000
const rules: Rules = {
  schedule: { kind: 'simple', timeoutS: 60 },
  graceS: 30,
  maxRuntimeS: null,
  minRuntimeS: null,
  failureThreshold: null,
  recoveryThreshold: null,
  earlyToleranceS: null,
  pausedUntil: null,
  trackRuns: false,
}

type Step =
  | { beat: HeartbeatKind; at: number; rid?: string; exit?: number }
  | { pause: number }
  | { resume: number }
  | { look: number }

/** Plays steps as the service does: time first, then what happened. */
function play(steps: Step[], over: Partial<Rules> = {}, windows: BlindWindow[] = []) {
  const all = { ...rules, ...over }
  const flips: Flip[] = []
  let state: State = initialState
  let durationMs: number | null = null
  const take = (change: Change) => {
    state = change.state
    if (change.flip) flips.push(change.flip)
  }
  for (const step of steps) {
    const at = 'beat' in step ? step.at : 'pause' in step ? step.pause : 'resume' in step ? step.resume : step.look
    take(onTime(all, state, at, windows))
    if ('beat' in step) {
      const heard = onHeartbeat(
        all,
        state,
        { kind: step.beat, at, rid: step.rid ?? null, exitStatus: step.exit ?? null },
        windows,
      )
      durationMs = heard.durationMs
      take(heard)
    } else if ('pause' in step) take(onPause(state, at))
    else if ('resume' in step) take(onResume(state, at))
  }
  return { state, flips, durationMs, rules: all }
}

const told = (flips: Flip[]) => flips.map(({ at, from, to, reason, silent }) => ({ at, from, to, reason, silent }))

test('the first success brings a new check up without an alert', () => {
  const { flips } = play([{ beat: 'success', at: 100 * s }])
  assert.deepEqual(told(flips), [{ at: 100 * s, from: 'new', to: 'up', reason: 'recovered', silent: true }])
})

test('a silence longer than timeout and grace is a flip dated at the deadline, whenever it is detected', () => {
  const { flips } = play([{ beat: 'success', at: 100 * s }, { look: 5000 * s }])
  assert.deepEqual(told(flips)[1], { at: 190 * s, from: 'up', to: 'down', reason: 'timeout', silent: false })
})

test('a late heartbeat within the grace period alerts nobody', () => {
  const { flips, state } = play([
    { beat: 'success', at: 0 },
    { beat: 'success', at: 89 * s },
  ])
  assert.equal(flips.length, 1)
  assert.equal(state.status, 'up')
})

test('a heartbeat after an undetected deadline writes both flips', () => {
  const { flips } = play([
    { beat: 'success', at: 0 },
    { beat: 'success', at: 200 * s },
  ])
  assert.deepEqual(
    told(flips)
      .slice(1)
      .map(({ at, to, silent }) => ({ at, to, silent })),
    [
      { at: 90 * s, to: 'down', silent: false },
      { at: 200 * s, to: 'up', silent: false },
    ],
  )
})

test('a failure has a reason', () => {
  const reason = (step: Step, over: Partial<Rules> = {}) =>
    play([{ beat: 'start', at: 0 }, step], over).flips.at(-1)?.reason
  assert.equal(reason({ beat: 'fail', at: s }), 'fail')
  assert.equal(reason({ beat: 'fail', at: s, exit: 3 }), 'exit 3')
  assert.equal(reason({ beat: 'success', at: s }, { minRuntimeS: 5 }), 'too_short')
  assert.equal(reason({ look: 31 * s }), 'overrun')
  assert.equal(reason({ look: 31 * s }, { maxRuntimeS: 60 }), undefined)
})

test('the heartbeat of its own rid ends a run, and so does any failure', () => {
  assert.equal(
    play([
      { beat: 'start', at: 0, rid: 'a' },
      { beat: 'success', at: 5 * s, rid: 'a' },
    ]).durationMs,
    5 * s,
  )
  const other = play([
    { beat: 'start', at: 0, rid: 'a' },
    { beat: 'success', at: 5 * s, rid: 'b' },
  ])
  assert.equal(other.durationMs, null)
  assert.equal(other.state.lastStart, 0)
  assert.equal(
    play([
      { beat: 'start', at: 0, rid: 'a' },
      { beat: 'fail', at: 5 * s, rid: 'b' },
    ]).state.lastStart,
    null,
  )
})

test('an overrun is detected on a check that is up, new or paused, and alerted once', () => {
  for (const before of [[], [{ beat: 'success', at: 0 }], [{ pause: 0 }]] as Step[][]) {
    const { flips } = play([...before, { beat: 'start', at: s }, { look: 40 * s }, { look: 400 * s }])
    const down = told(flips).filter(({ to }) => to === 'down')
    assert.deepEqual(
      down.map(({ at, reason, silent }) => ({ at, reason, silent })),
      [{ at: 31 * s, reason: 'overrun', silent: false }],
    )
  }
})

test('a run that overran while the check was down is over when a heartbeat brings it up', () => {
  const steps: Step[] = [
    { beat: 'fail', at: 0 },
    { beat: 'start', at: s, rid: 'a' },
    { beat: 'success', at: 40 * s, rid: 'b' },
  ]
  const { state, flips } = play([...steps, { look: 50 * s }])
  assert.equal(state.status, 'up')
  assert.deepEqual(
    flips.map(({ to }) => to),
    ['down', 'up'],
  )
})

test('below the failure threshold the status does not change, and missed slots count', () => {
  const { flips, state } = play([{ beat: 'success', at: 0 }, { look: 200 * s }], { failureThreshold: 3 })
  assert.equal(flips.length, 1)
  assert.equal(state.failures, 2)
  const third = play([{ beat: 'success', at: 0 }, { look: 500 * s }], { failureThreshold: 3 })
  assert.equal(third.flips.at(-1)?.at, (3 * 60 + 30) * s)
  const mixed = play(
    [
      { beat: 'fail', at: 0 },
      { beat: 'success', at: s },
      { beat: 'fail', at: 2 * s },
    ],
    { failureThreshold: 2 },
  )
  assert.equal(mixed.state.status, 'up')
})

test('below the recovery threshold a check stays down, and a silence in between resets the count', () => {
  const down: Step = { beat: 'fail', at: 0 }
  const ok = (at: number): Step => ({ beat: 'success', at })
  assert.equal(play([down, ok(s), ok(2 * s)], { recoveryThreshold: 3 }).state.status, 'down')
  assert.equal(play([down, ok(s), ok(2 * s), ok(3 * s)], { recoveryThreshold: 3 }).state.status, 'up')
  assert.equal(play([down, ok(s), ok(2 * s), ok(300 * s)], { recoveryThreshold: 3 }).state.status, 'down')
})

test('pause and resume are silent, and a pause with an end resumes by itself', () => {
  const { flips } = play([{ beat: 'success', at: 0 }, { pause: 10 * s }, { look: 1000 * s }, { resume: 2000 * s }])
  assert.deepEqual(
    told(flips)
      .slice(1)
      .map(({ to, reason, silent }) => ({ to, reason, silent })),
    [
      { to: 'paused', reason: 'paused', silent: true },
      { to: 'new', reason: 'resumed', silent: true },
    ],
  )
  const until = play([{ beat: 'success', at: 0 }, { pause: 10 * s }, { look: 1000 * s }], { pausedUntil: 500 * s })
  assert.deepEqual(
    [until.flips.at(-1)?.reason, until.flips.at(-1)?.at, until.state.status],
    ['resumed', 500 * s, 'new'],
  )
})

test('a heartbeat older than the last one counts and changes nothing else', () => {
  const { state, flips } = play([
    { beat: 'success', at: 50 * s },
    { beat: 'fail', at: 10 * s },
  ])
  assert.equal(state.n, 2)
  assert.equal(state.status, 'up')
  assert.equal(flips.length, 1)
})

test('time in which no replica could accept heartbeats does not count, and the flip names it', () => {
  const windows = [{ from: 50 * s, to: 3650 * s }]
  const before = play([{ beat: 'success', at: 0 }, { look: 3680 * s }], {}, windows)
  assert.equal(before.state.status, 'up')
  const after = play([{ beat: 'success', at: 0 }, { look: 3700 * s }], {}, windows)
  assert.deepEqual([after.flips.at(-1)?.at, after.flips.at(-1)?.blind], [3690 * s, windows[0]])
})

test('a cron check is due at its slot; only the grace after it is extended', () => {
  const hourly = { schedule: { kind: 'cron', schedule: '0 * * * *', tz: 'UTC' }, graceS: 600 } as const
  const steps: Step[] = [{ beat: 'success', at: 60 * s }]
  const { state, rules: all } = play(steps, hourly)
  assert.equal(deadlineOf(all, state, []), (3600 + 600) * s)
  assert.equal(deadlineOf(all, state, [{ from: 100 * s, to: 1000 * s }]), (3600 + 600) * s)
  assert.equal(deadlineOf(all, state, [{ from: 3500 * s, to: 3700 * s }]), (3600 + 700) * s)
})

test('an early success counts for the coming slot only within the tolerance', () => {
  const hourly = { schedule: { kind: 'cron', schedule: '0 * * * *', tz: 'UTC' }, graceS: 600 } as const
  const at = (minutes: number, over: Partial<Rules>) => {
    const { state, rules: all } = play([{ beat: 'success', at: minutes * 60 * s }], { ...hourly, ...over })
    return (deadlineOf(all, state, []) ?? 0) / 60 / s
  }
  assert.equal(at(58, {}), 70)
  assert.equal(at(58, { earlyToleranceS: 300 }), 130)
  assert.equal(at(50, { earlyToleranceS: 300 }), 70)
})

test('a reader sees grace and down before the detector has written anything', () => {
  const { state, rules: all } = play([{ beat: 'success', at: 0 }])
  const status = (now: number) => readingAt(all, state, now, []).status
  assert.deepEqual([status(59 * s), status(60 * s), status(89 * s), status(90 * s)], ['up', 'grace', 'grace', 'down'])
  assert.equal(readingAt(all, state, 0, []).nextPing, 60 * s)
  assert.equal(readingAt(all, state, 90 * s, []).nextPing, null)
})

test('a reader sees an open run, and whether it may still be in time', () => {
  const { state, rules: all } = play([
    { beat: 'fail', at: 0 },
    { beat: 'start', at: s },
  ])
  const reading = (now: number) => {
    const { started, running, status } = readingAt(all, state, now, [])
    return `${status} ${started} ${running}`
  }
  assert.deepEqual([reading(2 * s), reading(31 * s)], ['down true true', 'down true false'])
})

const anyRules: fc.Arbitrary<Rules> = fc.record({
  schedule: fc.oneof(
    fc.record({ kind: fc.constant('simple' as const), timeoutS: fc.integer({ min: 1, max: 600 }) }),
    fc.record({
      kind: fc.constant('cron' as const),
      schedule: fc.constantFrom('* * * * *', '*/5 * * * *', '0 * * * *', '30 2 * * *'),
      tz: fc.constantFrom('UTC', 'Europe/Riga'),
    }),
  ),
  graceS: fc.integer({ min: 1, max: 600 }),
  maxRuntimeS: fc.option(fc.integer({ min: 1, max: 600 })),
  minRuntimeS: fc.option(fc.integer({ min: 1, max: 60 })),
  failureThreshold: fc.option(fc.integer({ min: 1, max: 4 })),
  recoveryThreshold: fc.option(fc.integer({ min: 1, max: 4 })),
  earlyToleranceS: fc.option(fc.integer({ min: 1, max: 600 })),
  pausedUntil: fc.option(fc.integer({ min: 0, max: 5_000_000 })),
  trackRuns: fc.boolean(),
})

const anyStep = (at: number): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        beat: fc.constantFrom<HeartbeatKind>('success', 'start', 'fail', 'log', 'ign'),
        at: fc.integer({ min: Math.max(0, at - 2000), max: at }),
        rid: fc.constantFrom('a', 'b'),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ pause: at }, { resume: at }) },
    { weight: 2, arbitrary: fc.constant<Step>({ look: at }) },
  )

const anySteps = fc.array(fc.integer({ min: 0, max: 700_000 }), { maxLength: 30 }).chain((gaps) => {
  const instants = gaps.map((_, i) => gaps.slice(0, i + 1).reduce((sum, gap) => sum + gap, 0))
  return fc.tuple(...instants.map(anyStep))
})

const anyWindows = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 400_000 }), fc.integer({ min: 1, max: 400_000 })), { maxLength: 4 })
  .map((pairs) => {
    let at = 0
    return pairs.map(([pause, length]) => {
      const from = at + pause
      at = from + length
      return { from, to: at }
    })
  })

test('no sequence of events and times violates the invariants of flips and deadlines', () => {
  fc.assert(
    fc.property(anyRules, anySteps, anyWindows, (all, steps, windows) => {
      let state = initialState
      let latest = 0
      const check = ({ state: next, flip }: Change, now: number) => {
        assert.ok(['new', 'up', 'down', 'paused'].includes(next.status))
        if (flip) {
          assert.notEqual(flip.from, flip.to, 'a flip is a change')
          assert.equal(flip.from, state.status)
          assert.equal(flip.to, next.status)
          assert.equal(flip.seq, state.flipSeq + 1, 'flips are counted without gaps')
          assert.ok(flip.at <= now, 'no flip in the future')
        } else assert.equal(next.status, state.status, 'no change without a flip')
        assert.equal(next.flipSeq, state.flipSeq + (flip ? 1 : 0))
        const deadline = deadlineOf(all, next, windows)
        const heard = Math.max(next.lastPing ?? 0, 0)
        if (deadline !== null && next.status === 'up') assert.ok(deadline >= heard, 'no deadline before its heartbeat')
        if (next.status === 'down') assert.equal(deadline, null)
        state = next
      }
      for (const step of steps) {
        const at = 'beat' in step ? step.at : 'pause' in step ? step.pause : 'resume' in step ? step.resume : step.look
        latest = Math.max(latest, at)
        check(onTime(all, state, at, windows), at)
        const again = onTime(all, state, at, windows)
        assert.deepEqual([again.state, again.flip], [state, null], 'looking twice changes nothing')
        if ('beat' in step) {
          check(
            onHeartbeat(all, state, { kind: step.beat, at, rid: step.rid ?? null, exitStatus: null }, windows),
            latest,
          )
        } else if ('pause' in step) check(onPause(state, at), at)
        else if ('resume' in step) check(onResume(state, at), at)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a blind window never shortens a wait, and all of them lengthen it by no more than their sum', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.integer({ min: 0, max: 1_000_000 }),
      anyWindows,
      (from, length, windows) => {
        const end = endOfWait(from, length, windows)
        const total = windows.reduce((sum, window) => sum + window.to - window.from, 0)
        assert.ok(end >= from + length && end <= from + length + total)
        const seen = windows.reduce((sum, w) => sum + Math.max(0, Math.min(w.to, end) - Math.max(w.from, from)), 0)
        assert.equal(end - from - seen, length, 'the time that was not blind is exactly the wait')
      },
    ),
    { numRuns: 2000 },
  )
})

test('a signal that looks milliseconds older, because replicas’ clocks differ, has its effect', () => {
  const failed = play([
    { beat: 'success', at: 10_005 },
    { beat: 'fail', at: 10_003 },
  ])
  assert.deepEqual([failed.state.status, failed.flips.at(-1)?.at], ['down', 10_005])
  const recovered = play([
    { beat: 'fail', at: 10_010 },
    { beat: 'success', at: 10_008 },
  ])
  assert.equal(recovered.state.status, 'up')
  const started = play([
    { beat: 'success', at: 10_005 },
    { beat: 'start', at: 10_003 },
  ])
  assert.equal(started.state.lastStart, 10_005)
})

test('slots that an old schedule missed do not move the deadline of a new one', () => {
  const { state, rules: all } = play([{ beat: 'success', at: 0 }, { look: 200 * s }], { failureThreshold: 12 })
  assert.equal(state.missed, 2)
  const hourly = { ...all, schedule: { kind: 'simple', timeoutS: 3600 } as const }
  assert.equal(deadlineOf(hourly, onReschedule(state), []), 3630 * s)
})
