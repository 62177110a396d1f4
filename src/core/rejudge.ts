// Judging again. Heartbeats do not always reach the database in the order of their receipt: a replica that was cut off delivers its
// spool later, and a client uploads what it kept. The status, the flips and the alerts of a check are nevertheless those of the state
// machine over all of its heartbeats in the order of (receive time, id). So a heartbeat that comes late is stored as history first, and
// the part of the history that it may change is judged again: from a little before it, by the same `onTime` and `onHeartbeat`.
//
// What people did (pause and resume) and what was recorded before that part stay unchanged. A recorded flip that is
// also in the result gets the result's date; further flips of the result are added after it. A result that contradicts
// a recorded flip cannot undo it, because people may have been alerted: if the status differs, one more flip with the
// reason `corrected` says so.

import type { BlindWindow } from './blind-time.ts'
import type { Unsettled } from './check.ts'
import type { Heartbeat } from './heartbeat.ts'
import { type Flip, initialState, onHeartbeat, onPause, onResume, onTime, type Rules, type State } from './status.ts'
import { nextWait } from './waits.ts'

/** Oldest first, by (at, id). */
export type History = {
  heartbeats: readonly (Heartbeat & { id: string })[]
  /** Recorded flips that are no older than the first of the heartbeats. */
  flips: readonly Flip[]
}

/** `unsettled` is what is still to be judged again, because a deadline in it is later than time may be judged; null for nothing. */
export type Rejudged = { state: State; flips: readonly Flip[]; unsettled: Unsettled | null }

/** How many events are judged between two pauses. */
const stepEvents = 100

/**
 * Judges the part of the history from `from` on, and time up to `until`. What lies before `from` only tells which runs were open and
 * when the last heartbeat came; the status then is the recorded one. `current` is the state as it is stored. It is a generator, and
 * pauses so that the event loop can do other work.
 */
export function* rejudgeInSteps(
  rules: Rules,
  current: State,
  history: History,
  from: number,
  until: number,
  windows: readonly BlindWindow[],
): Generator<undefined, Rejudged, undefined> {
  let state = warmUp(rules, current, history, from, windows)
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

/** What is to be judged again if a heartbeat at `at` is applied although a deadline before it has not been. */
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

/** A recorded flip that happened at another moment, or for another reason, than was known when it was recorded. */
export type Redated = Pick<Flip, 'seq' | 'at' | 'reason'>

export type Reconciled = {
  state: State
  /** To be added behind the recorded ones. */
  flips: readonly Flip[]
  redated: readonly Redated[]
  /** Whether a recorded flip proved wrong. */
  corrects: boolean
}

/**
 * Compares the result, in which time was judged up to `until`, with what was recorded: `recorded` are the flips from `from` on, `current`
 * is the stored state. A correction is dated no later than `until`, because the next deadline may pass just behind it.
 */
export function reconcile(current: State, recorded: readonly Flip[], judged: Rejudged, until: number): Reconciled {
  const isContradicted =
    recorded.length > judged.flips.length || recorded.some(({ to }, i) => to !== judged.flips[i]?.to)
  const added = isContradicted ? correction(current, recorded, judged, until) : judged.flips.slice(recorded.length)
  const flips = added.map((flip, i) => ({ ...flip, seq: current.flipSeq + 1 + i }))
  const state = { ...judged.state, n: current.n, flipSeq: current.flipSeq + flips.length }
  return { state, flips, redated: isContradicted ? [] : redatedOf(recorded, judged.flips), corrects: isContradicted }
}

function redatedOf(recorded: readonly Flip[], judged: readonly Flip[]): Redated[] {
  return recorded.flatMap(({ seq, at, reason }, i) => {
    const flip = judged[i]
    return flip === undefined || (flip.at === at && flip.reason === reason)
      ? []
      : [{ seq, at: flip.at, reason: flip.reason }]
  })
}

function correction(current: State, recorded: readonly Flip[], judged: Rejudged, until: number): Flip[] {
  const { status } = judged.state
  if (status === current.status) return []
  const at = Math.max(until, recorded.at(-1)?.at ?? until)
  const isSilent = !(['up', 'down'].includes(status) && ['up', 'down'].includes(current.status))
  return [{ seq: 0, at, from: current.status, to: status, reason: 'corrected', silent: isSilent, blind: null }]
}

/**
 * The state just before `from`: what the state machine counts of heartbeats and of the deadlines between them, with the status that was
 * recorded. A flip that was not recorded did not happen, even if today's rules would make one.
 */
function warmUp(
  rules: Rules,
  current: State,
  { heartbeats, flips }: History,
  from: number,
  windows: readonly BlindWindow[],
): State {
  let recorded = flips[0]?.from ?? current.status
  let state: State = { ...initialState, status: recorded }
  let next = 0
  const asRecorded = (judged: State): State => (judged.status === recorded ? judged : { ...judged, status: recorded })
  const passTime = (at: number) => {
    state = asRecorded(onTime(rules, state, at, windows).state)
  }
  /** Applies the recorded flips up to `at`; those that a heartbeat caused at that very instant only if it `isHeard`. */
  const recordUntil = (at: number, isHeard: boolean) => {
    for (let flip = flips[next]; flip !== undefined && flip.at < from && flip.at <= at; flip = flips[++next]) {
      if (flip.at === at && !isHeard && !isOfTime(flip)) return
      const judged = onTime(rules, state, flip.at, windows).state
      recorded = flip.to
      if (recorded === state.status) continue
      if (recorded === judged.status) state = judged
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
