// A model of several replicas with outages: heartbeats reach the history late and in any order, and the check is evaluated
// again. Its status, its state and its flips are then those of one replica that received everything in order.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultSettings, type Settings } from '../../src/checks/fields/fields.ts'
import { rulesOf, type WatchedCheck } from '../../src/core/check.ts'
import type { HeartbeatKind, SignalKind } from '../../src/core/heartbeat.ts'
import { type Reevaluated, reconcile, reevaluateInSteps } from '../../src/core/reevaluate.ts'
import { type Flip, initialState, onHeartbeat, onTime, type State } from '../../src/core/status.ts'
import { applySignals } from '../../src/ingest/apply-signals.ts'
import type { Received } from '../../src/ingest/signal.ts'
import type { Recorded } from '../../src/ingest/store.ts'
import { received } from '../ingest/received.ts'

const second = 1000
const rid = (n: number) => `00000000-0000-4000-8000-00000000000${n}`

const signalOf = fc.record({
  gapMs: fc.oneof(fc.integer({ min: 1, max: 4 * second }), fc.integer({ min: 1, max: 30 * second })),
  replica: fc.integer({ min: 0, max: 2 }),
  kind: fc.oneof({ weight: 6, arbitrary: fc.constant('success') }, fc.constantFrom('start', 'fail', 'log')),
  rid: fc.constantFrom(null, rid(1), rid(2)),
})
/** When each replica is cut off from the database: its heartbeats reach it at the end, as one spool. */
const cutOf = fc.array(
  fc.record({
    replica: fc.integer({ min: 0, max: 2 }),
    fromMs: fc.integer({ min: 0, max: 120 * second }),
    lengthMs: fc.integer({ min: 1, max: 60 * second }),
  }),
  { maxLength: 5 },
)
const storyOf = fc.record({
  signals: fc.array(signalOf, { minLength: 1, maxLength: 40 }),
  cuts: cutOf,
  settings: fc.record({
    timeoutS: fc.integer({ min: 1, max: 6 }),
    graceS: fc.integer({ min: 1, max: 4 }),
    failureThreshold: fc.constantFrom(null, 2, 3),
    recoveryThreshold: fc.constantFrom(null, 2),
    maxRuntimeS: fc.constantFrom(null, 5),
    trackRuns: fc.constantFrom(null, true),
  }),
})

type Story = typeof storyOf extends fc.Arbitrary<infer T> ? T : never
type Sent = Received & { replica: number; arrivesAt: number }

function sentOf({ signals, cuts }: Story): Sent[] {
  let at = 0
  return signals.map(({ gapMs, replica, kind, rid: run }, i) => {
    at += gapMs
    const cut = cuts.filter((c) => c.replica === replica && c.fromMs <= at && at < c.fromMs + c.lengthMs)
    const arrivesAt = Math.max(at, ...cut.map((c) => c.fromMs + c.lengthMs))
    return { ...signal(at, i, kind as SignalKind, run), replica, arrivesAt }
  })
}

function signal(at: number, i: number, kind: SignalKind, run: string | null): Received {
  const id = `00000000-0000-7000-8000-${String(i).padStart(12, '0')}`
  return received({ checkId: 'check', id, at, kind, rid: run })
}

/** One replica that receives everything in order. */
function inOrder(settings: Settings, sent: readonly Sent[], end: number): { state: State; flips: Flip[] } {
  const rules = rulesOf(settings)
  let state: State = initialState
  const flips: Flip[] = []
  const take = (change: { state: State; flip: Flip | null }) => {
    state = change.state
    if (change.flip) flips.push(change.flip)
  }
  for (const { at, kind, rid: run, exitStatus } of sent) {
    take(onTime(rules, state, at, []))
    take(onHeartbeat(rules, state, { kind: kind as HeartbeatKind, at, rid: run, exitStatus }, []))
  }
  take(onTime(rules, state, end, []))
  return { state, flips }
}

/** Three replicas: each applies heartbeats by what it knows at that time; detection and re-evaluation go up to the watermark. */
function interleaved(settings: Settings, sent: readonly Sent[], cuts: Story['cuts'], end: number) {
  const rules = rulesOf(settings)
  let check: WatchedCheck = {
    ...{ id: 'check', projectId: 'project', settings, state: initialState },
    ...{ deadline: null, lookAt: null, unsettled: null },
  }
  const stored: Recorded[] = []
  const flips: Flip[] = []
  /** All that any replica received until then is in the database. */
  const throughAt = (now: number) => {
    const waiting = sent.filter(({ at, arrivesAt }) => at <= now && arrivesAt > now).map(({ at }) => at - 1)
    const cutOff = cuts.filter((c) => c.fromMs <= now && now < c.fromMs + c.lengthMs).map(({ fromMs }) => fromMs - 1)
    return Math.min(now, ...waiting, ...cutOff)
  }
  function detect(now: number): void {
    const through = throughAt(now)
    if (check.unsettled !== null) {
      if (check.unsettled.to > through) return
      const { from } = check.unsettled
      const heartbeats = stored
        .map(({ received: { at, id, rid: run, exitStatus }, kind }) => ({ at, id, rid: run, exitStatus, kind }))
        .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
      const evaluated = reevaluate(rules, check.state, { heartbeats, flips }, from, through, [])
      const recorded = flips.filter(({ at }) => at >= from)
      const settled = reconcile(check.state, recorded, evaluated, through)
      for (const { seq, at, reason } of settled.redated) {
        const flip = flips.find((f) => f.seq === seq)
        assert.ok(flip)
        Object.assign(flip, { at, reason })
      }
      flips.push(...settled.flips)
      check = { ...check, state: settled.state, unsettled: evaluated.unsettled }
      return
    }
    const { state, flip } = onTime(rules, check.state, through, [])
    check = { ...check, state }
    if (flip) flips.push(flip)
  }
  const moments = [
    ...new Set([...sent.map(({ arrivesAt }) => arrivesAt), ...cuts.map((c) => c.fromMs + c.lengthMs), end]),
  ]
  for (const now of moments.sort((a, b) => a - b)) {
    detect(now - 1)
    const arrived = sent.filter(({ arrivesAt }) => arrivesAt === now)
    // Each replica's spool is a batch of its own.
    for (const batch of Map.groupBy(arrived, ({ replica }) => replica).values()) {
      const watermark = { through: throughAt(now - 1), unheard: [] }
      const lastFlipAt = flips.at(-1)?.at ?? null
      const applied = applySignals(check, batch, {
        windows: [],
        watermark,
        lastFlipAt,
        recent: [],
        contents: new Map(),
      })
      stored.push(...applied.recorded)
      flips.push(...applied.flips)
      check = { ...check, state: applied.state, unsettled: applied.unsettled ?? null }
    }
    detect(now)
  }
  return { state: check.state, flips }
}

const outline = (flips: readonly Flip[]) => flips.map(({ at, from, to, reason }) => ({ at, from, to, reason }))

test('successes spread over replicas give the flips and the state of one replica', () => {
  fc.assert(
    fc.property(storyOf, (given) => {
      const settings = { ...defaultSettings, ...given.settings, kind: 'simple' as const }
      const story = { ...given, signals: given.signals.map((s) => ({ ...s, kind: 'success' as const })) }
      const sent = sentOf(story)
      const end = (sent.at(-1)?.at ?? 0) + 400 * second
      const expected = inOrder(settings, sent, end)
      const found = interleaved(settings, sent, story.cuts, end)
      assert.deepEqual(outline(found.flips), outline(expected.flips))
      assert.deepEqual(found.state, expected.state)
    }),
    { numRuns: 3000 },
  )
})

const thresholds = { failureThreshold: null, recoveryThreshold: null, maxRuntimeS: null, trackRuns: null }
const sentBy = (replica: number, gapMs: number, kind: string, run: string | null = null) => ({
  ...{ gapMs, replica, kind, rid: run },
})
const cut = (replica: number, fromMs: number, lengthMs: number) => ({ replica, fromMs, lengthMs })

/** Flips that were once decided wrongly. */
const examples = [
  // Deadlines that were missed before the re-evaluated part count, too.
  {
    signals: [sentBy(0, 1, 'success'), sentBy(0, 3000, 'fail'), sentBy(0, 1, 'start'), sentBy(0, 1000, 'success')],
    cuts: [],
    settings: { ...thresholds, timeoutS: 2, graceS: 1, failureThreshold: 3 },
  },
  // A late success may have ended the run that a later one has ended.
  {
    signals: [
      ...[sentBy(0, 1, 'start'), sentBy(0, 3000, 'success', rid(1))],
      ...[sentBy(1, 1, 'success'), sentBy(0, 1, 'success')],
    ],
    cuts: [cut(1, 3002, 2)],
    settings: { ...thresholds, timeoutS: 1, graceS: 1, trackRuns: true },
  },
  // An outage before that part keeps its failures.
  {
    signals: [sentBy(0, 1, 'success'), sentBy(2, 11_001, 'start'), sentBy(0, 1, 'start')],
    cuts: [cut(2, 11_002, 2)],
    settings: { ...thresholds, timeoutS: 1, graceS: 1 },
  },
  // A deadline that is applied later may have passed before the correction was made.
  {
    signals: [sentBy(1, 1, 'success'), sentBy(0, 1, 'fail'), sentBy(1, 1, 'success'), sentBy(0, 1, 'success')],
    cuts: [cut(0, 5, 2001), cut(1, 0, 2005)],
    settings: { ...thresholds, timeoutS: 1, graceS: 1, recoveryThreshold: 2 },
  },
].map((story): [Story] => [story as Story])

test('heartbeats of any kind spread over replicas with outages end in the state of one replica', () => {
  fc.assert(
    fc.property(storyOf, (given) => {
      const settings = { ...defaultSettings, ...given.settings, kind: 'simple' as const }
      const sent = sentOf(given)
      const end = (sent.at(-1)?.at ?? 0) + 400 * second
      const expected = inOrder(settings, sent, end)
      const found = interleaved(settings, sent, given.cuts, end)
      const { flipSeq: _, ...state } = found.state
      const { flipSeq: __, ...wanted } = expected.state
      assert.deepEqual(state, wanted)
      const dates = found.flips.map(({ at }) => at)
      assert.deepEqual(
        dates,
        dates.toSorted((a, b) => a - b),
        'no flip is dated before the one that it follows',
      )
      for (const [i, flip] of found.flips.entries()) assert.equal(flip.from, found.flips[i - 1]?.to ?? 'new')
    }),
    { numRuns: 3000, examples },
  )
})

function reevaluate(...given: Parameters<typeof reevaluateInSteps>): Reevaluated {
  const steps = reevaluateInSteps(...given)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}
