// Re-evaluation. Heartbeats do not always reach the database in the order in which they were received: a replica that
// was cut off delivers its spool later, and a client uploads what it kept. Nevertheless the status, the flips and the
// alerts of a check are those of the state machine over all of its heartbeats in the order of (receive time, id). So a
// late heartbeat is first stored as history. Then the part of the history that it may change is evaluated again, from a
// little before it, by the same `onTime` and `onHeartbeat`.
//
// Pauses and resumes by people stay unchanged, and so does what was recorded before that part. A recorded flip that is
// also in the result gets the date of the result; further flips of the result are appended. A result that contradicts a
// recorded flip cannot undo it, because people may have been alerted: if the status differs, one more flip with the
// reason `corrected` says so.

import type { BlindWindow } from './blind-time.ts'
import type { Unsettled } from './check.ts'
import type { Heartbeat } from './heartbeat.ts'
import { type Flip, initialState, onHeartbeat, onPause, onResume, onTime, type Rules, type State } from './status.ts'
import { nextWait } from './waits.ts'

/** Oldest first, by (at, id). */
export type History = {
  heartbeats: readonly (Heartbeat & { id: string })[]
  /** Recorded flips that are not older than the first of the heartbeats. */
  flips: readonly Flip[]
}

/**
 * `unsettled` is the part to evaluate again later, because one of its deadlines is later than `until`; null if there is
 * none.
 */
export type Reevaluated = { state: State; flips: readonly Flip[]; unsettled: Unsettled | null }

/** How many events are evaluated between two pauses. */
const stepEvents = 100

/**
 * Evaluates the history from `from` on, and applies deadlines up to `until`. The history before `from` only shows which
 * runs were open and when the last heartbeat came; the status at `from` is the recorded one. `current` is the stored
 * state. This is a generator that pauses, so that the event loop can do other work.
 */
export function* reevaluateInSteps(
  rules: Rules,
  current: State,
  history: History,
  from: number,
  until: number,
  windows: readonly BlindWindow[],
): Generator<undefined, Reevaluated, undefined> {
  let state = stateBefore(rules, current, history, from, windows)
  let unsettled: Unsettled | null = null
  const flips: Flip[] = []

  function passTime(now: number): void {
    for (;;) {
      const change = onTime(rules, state, now, windows)
      state = change.state
      if (change.flip === null) return
      flips.push(change.flip)
    }
  }
  function take({ state: next, flip }: { state: State; flip: Flip | null }): void {
    state = next
    if (flip) flips.push(flip)
  }

  for (const [i, event] of eventsFrom(history, from).entries()) {
    if (i % stepEvents === stepEvents - 1) yield
    passTime(Math.min(event.at, until))
    unsettled = stillUnsettled(rules, state, event.at, unsettled, windows)
    if (!('to' in event)) take(onHeartbeat(rules, state, event, windows))
    else take(event.to === 'paused' ? onPause(state, event.at) : onResume(state, event.at))
  }
  passTime(until)
  return { state, flips, unsettled }
}

/** The part to evaluate again if a heartbeat at `at` is applied although an earlier deadline has not been applied. */
export function stillUnsettled(
  rules: Rules,
  state: State,
  at: number,
  unsettled: Unsettled | null,
  windows: readonly BlindWindow[],
): Unsettled | null {
  const wait = nextWait(rules, state, windows)
  return wait === null || wait.at > at ? unsettled : widened(unsettled, Math.min(wait.since, at), at)
}

export function widened(unsettled: Unsettled | null, from: number, to: number): Unsettled {
  return { from: Math.min(unsettled?.from ?? from, from), to: Math.max(unsettled?.to ?? to, to) }
}

/** A recorded flip whose date or reason proved to be different from what was recorded. */
export type Redated = Pick<Flip, 'seq' | 'at' | 'reason'>

export type Reconciled = {
  state: State
  /** To be appended to the recorded ones. */
  flips: readonly Flip[]
  redated: readonly Redated[]
  /** Whether a recorded flip proved wrong. */
  corrects: boolean
}

/**
 * Compares the result, in which deadlines up to `until` were applied, with the record: `recorded` are the flips from
 * `from` on, `current` is the stored state. A correction is dated no later than `until`, because the next deadline may
 * come right after it.
 */
export function reconcile(
  current: State,
  recorded: readonly Flip[],
  evaluated: Reevaluated,
  until: number,
): Reconciled {
  const isContradicted =
    recorded.length > evaluated.flips.length || recorded.some(({ to }, i) => to !== evaluated.flips[i]?.to)
  const added = isContradicted
    ? correction(current, recorded, evaluated, until)
    : evaluated.flips.slice(recorded.length)
  const flips = added.map((flip, i) => ({ ...flip, seq: current.flipSeq + 1 + i }))
  const state = { ...evaluated.state, n: current.n, flipSeq: current.flipSeq + flips.length }
  return { state, flips, redated: isContradicted ? [] : redatedOf(recorded, evaluated.flips), corrects: isContradicted }
}

function redatedOf(recorded: readonly Flip[], evaluated: readonly Flip[]): Redated[] {
  return recorded.flatMap(({ seq, at, reason }, i) => {
    const flip = evaluated[i]
    return flip === undefined || (flip.at === at && flip.reason === reason)
      ? []
      : [{ seq, at: flip.at, reason: flip.reason }]
  })
}

function correction(current: State, recorded: readonly Flip[], evaluated: Reevaluated, until: number): Flip[] {
  const { status } = evaluated.state
  if (status === current.status) return []
  const at = Math.max(until, recorded.at(-1)?.at ?? until)
  const isSilent = !(['up', 'down'].includes(status) && ['up', 'down'].includes(current.status))
  return [{ seq: 0, at, from: current.status, to: status, reason: 'corrected', silent: isSilent, blind: null }]
}

/**
 * The state just before `from`: the counters and runs that the state machine derives from the earlier heartbeats and
 * deadlines, with the recorded status. A flip that was not recorded did not happen, even if today's rules would make
 * one.
 */
function stateBefore(
  rules: Rules,
  current: State,
  { heartbeats, flips }: History,
  from: number,
  windows: readonly BlindWindow[],
): State {
  let recorded = flips[0]?.from ?? current.status
  let state: State = { ...initialState, status: recorded }
  let next = 0
  const asRecorded = (evaluated: State): State =>
    evaluated.status === recorded ? evaluated : { ...evaluated, status: recorded }
  const passTime = (at: number) => {
    state = asRecorded(onTime(rules, state, at, windows).state)
  }
  /** Applies the recorded flips up to `at`. A flip that a heartbeat at `at` caused is applied only if `isHeard`. */
  const recordUntil = (at: number, isHeard: boolean) => {
    for (let flip = flips[next]; flip !== undefined && flip.at < from && flip.at <= at; flip = flips[++next]) {
      if (flip.at === at && !isHeard && !isOfTime(flip)) return
      const evaluated = onTime(rules, state, flip.at, windows).state
      recorded = flip.to
      if (recorded === state.status) continue
      if (recorded === evaluated.status) state = evaluated
      else if (recorded === 'paused') state = onPause(state, flip.at).state
      else if (flip.reason === 'resumed') state = onResume(state, flip.at).state
      else state = { ...state, status: recorded, failures: 0, successes: 0 }
    }
  }
  for (const heartbeat of heartbeats) {
    if (heartbeat.at >= from) break
    recordUntil(heartbeat.at, false)
    passTime(heartbeat.at)
    state = onHeartbeat(rules, state, heartbeat, windows).state
    recordUntil(heartbeat.at, true)
    state = asRecorded(state)
  }
  recordUntil(from, true)
  return state
}

const isOfTime = ({ reason }: Flip) => reason === 'timeout' || reason === 'overrun'

function eventsFrom({ heartbeats, flips }: History, from: number): (Heartbeat | Flip)[] {
  const byPeople = flips.filter(({ at, reason }) => at >= from && (reason === 'paused' || reason === 'resumed'))
  const events: (Heartbeat | Flip)[] = [...byPeople, ...heartbeats.filter(({ at }) => at >= from)]
  return events.sort((a, b) => a.at - b.at)
}
