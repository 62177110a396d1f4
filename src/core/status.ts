// The state machine of one monitor. Everything that can change a status is here, as pure functions of what the user set
// (rules), what is known (state), the times in which nobody could accept heartbeats (blind windows) and an instant.
//
// A monitor waits for at most three moments at once: the end of grace after its last heartbeat (simple: timeout + grace after
// it; cron: grace after the next slot), the end of the allowed time of an open run, and, while paused, the end of the pause. The earliest
// is its deadline. `onTime` applies a deadline that has passed and dates the flip at the deadline, not at the moment of
// noticing; `onHeartbeat` applies one signal. A heartbeat received at t is always onTime(t) first and then onHeartbeat,
// so that one which comes after an unnoticed deadline yields both changes. Each call yields at most one flip.
//
// Thresholds count consecutive failures (reported, overrun, too short or missed) and consecutive successes; below them the
// status stays. A missed slot that is below the threshold moves the deadline on by one slot.
//
// Beyond the Healthchecks rules (their catalogue, section 3) only what a field of the rules switches on, and one repair: a run that
// overran while the monitor was down is over when a heartbeat brings the monitor up, or its deadline would lie before
// the flip that it follows.

import { type BlindWindow, endOfWait, windowDuring } from './blind-time.ts'
import type { Heartbeat } from './heartbeat.ts'
import { nextDue, nthDue, type Schedule } from './schedule.ts'

export type Status = 'new' | 'up' | 'down' | 'paused'

/** What the user set. Lengths in seconds; `pausedUntil` in epoch milliseconds. */
export type Rules = {
  schedule: Schedule
  graceS: number
  maxRuntimeS: number | null
  minRuntimeS: number | null
  failureThreshold: number | null
  recoveryThreshold: number | null
  earlyToleranceS: number | null
  pausedUntil: number | null
}

/**
 * What is known. Instants in epoch milliseconds. `n` counts recorded heartbeats and `flipSeq` flips; `failures` and
 * `successes` are consecutive ones below a threshold; `missed` is how many slots since the last heartbeat were let pass.
 */
export type State = {
  status: Status
  n: number
  flipSeq: number
  lastPing: number | null
  lastStart: number | null
  lastStartRid: string | null
  lastDurationMs: number | null
  failures: number
  successes: number
  missed: number
}

export type FlipReason =
  | 'timeout'
  | 'overrun'
  | 'too_short'
  | 'fail'
  | `exit ${number}`
  | 'recovered'
  | 'paused'
  | 'resumed'

/** One status change. A silent one alerts nobody; `blind` names the window in which a beat may have been refused. */
export type Flip = {
  seq: number
  at: number
  from: Status
  to: Status
  reason: FlipReason
  silent: boolean
  blind: BlindWindow | null
}

export type Change = { state: State; flip: Flip | null }

type Wait = { at: number; since: number; cause: 'timeout' | 'overrun' | 'resumed' }

/** How far the receive times of two replicas may be apart for signals that came one after the other. */
const replicaSkewMs = 1000

export const initialState: State = {
  status: 'new',
  n: 0,
  flipSeq: 0,
  lastPing: null,
  lastStart: null,
  lastStartRid: null,
  lastDurationMs: null,
  failures: 0,
  successes: 0,
  missed: 0,
}

/** The state at `now` if no heartbeat came, and the flip of the deadline that passed since, if any. */
export function onTime(rules: Rules, state: State, now: number, windows: readonly BlindWindow[]): Change {
  let current = state
  // One turn per missed slot below the failure threshold, which is at most 720.
  for (;;) {
    const wait = nextWait(rules, current, windows)
    if (wait === null || now < wait.at) return { state: current, flip: null }
    if (wait.cause === 'resumed') return flipTo(resumed(current), current, wait.at, 'resumed', true)
    const failures = current.failures + 1
    if (failures >= (rules.failureThreshold ?? 1)) {
      const down = { ...current, failures, successes: 0 }
      const change = flipTo({ ...down, status: 'down' }, down, wait.at, wait.cause, false)
      if (change.flip) change.flip.blind = windowDuring(wait.since, wait.at, windows)
      return change
    }
    current =
      wait.cause === 'timeout' ? { ...current, failures, missed: current.missed + 1 } : { ...closed(current), failures }
  }
}

/**
 * Applies one heartbeat received at `heartbeat.at`; the caller has applied onTime at that instant. One older than
 * what is already known (a replay) counts in `n` and changes nothing else. `durationMs` is that of the run it closed.
 */
export function onHeartbeat(
  rules: Rules,
  state: State,
  heartbeat: Heartbeat,
  windows: readonly BlindWindow[],
): Change & { durationMs: number | null } {
  const counted = { ...state, n: state.n + 1 }
  const { kind, rid } = heartbeat
  // Two replicas' clocks differ by milliseconds, so what came after may look older by as much: then it came at the same time.
  const looksOlderMs = (state.lastPing ?? heartbeat.at) - heartbeat.at
  const at = looksOlderMs > 0 && looksOlderMs <= replicaSkewMs ? heartbeat.at + looksOlderMs : heartbeat.at
  const stale = at < (state.lastPing ?? at) || (kind === 'start' && at < (state.lastStart ?? at) - replicaSkewMs)
  if (kind === 'log' || kind === 'ign' || stale) return { state: counted, flip: null, durationMs: null }
  if (kind === 'start') {
    return { state: { ...counted, lastStart: at, lastStartRid: rid }, flip: null, durationMs: null }
  }

  // Of an older run (a replay), unless it only looks older because two replicas received start and end.
  const startedSince = state.lastStart !== null && at < state.lastStart - replicaSkewMs
  const sameRun = state.lastStart !== null && !startedSince && state.lastStartRid === rid
  const durationMs = sameRun ? Math.max(0, at - (state.lastStart as number)) : null
  const tooShort = rules.minRuntimeS !== null && durationMs !== null && durationMs < rules.minRuntimeS * 1000
  const endsRun = !startedSince && (sameRun || kind === 'fail' || rid === null || isOverrun(rules, state, at, windows))
  const heard: State = { ...(endsRun ? closed(counted) : counted), lastPing: at, lastDurationMs: durationMs, missed: 0 }
  if (kind === 'fail') return { ...onFailure(rules, heard, at, failureReason(heartbeat)), durationMs }
  if (tooShort) return { ...onFailure(rules, heard, at, 'too_short'), durationMs }
  return { ...onSuccess(rules, state, heard, at, windows), durationMs }
}

/** Pauses until resumed. The caller has applied onTime at `now`. Already paused: no change. */
export function onPause(state: State, now: number): Change {
  if (state.status === 'paused') return { state, flip: null }
  const paused: State = { ...closed(state), status: 'paused', failures: 0, successes: 0, missed: 0 }
  return flipTo(paused, state, now, 'paused', true)
}

/** What was missed or failed by an old schedule says nothing about a new one. */
export function onReschedule(state: State): State {
  return { ...state, failures: 0, missed: 0 }
}

/** Back to `new`, knowing nothing of earlier heartbeats. Only from `paused`; otherwise no change. */
export function onResume(state: State, now: number): Change {
  return state.status === 'paused' ? flipTo(resumed(state), state, now, 'resumed', true) : { state, flip: null }
}

/** When the state would change by itself, in epoch milliseconds; null if never. */
export function deadlineOf(rules: Rules, state: State, windows: readonly BlindWindow[]): number | null {
  return nextWait(rules, state, windows)?.at ?? null
}

export type Reading = { status: Status | 'grace'; started: boolean; nextPing: number | null }

/** The status as a reader sees it at `now`, whether or not a detector has noticed a deadline yet. */
export function readingAt(rules: Rules, stored: State, now: number, windows: readonly BlindWindow[]): Reading {
  const { state } = onTime(rules, stored, now, windows)
  const started = state.lastStart !== null
  if (state.status === 'down') return { status: 'down', started, nextPing: null }
  const due = graceStart(rules, state, windows)
  const status = due !== null && now >= due ? 'grace' : state.status
  const nextPing = due === null ? state.lastStart : Math.min(due, state.lastStart ?? due)
  return { status, started, nextPing }
}

function onSuccess(rules: Rules, before: State, heard: State, at: number, windows: readonly BlindWindow[]): Change {
  const up: State = { ...heard, status: 'up', failures: 0, successes: 0 }
  if (heard.status === 'up') return { state: up, flip: null }
  if (heard.status !== 'down') return flipTo(up, heard, at, 'recovered', true)
  const successes = 1 + (wentSilent(rules, before, at, windows) ? 0 : heard.successes)
  if (successes >= (rules.recoveryThreshold ?? 1)) return flipTo(up, heard, at, 'recovered', false)
  return { state: { ...heard, failures: 0, successes }, flip: null }
}

function onFailure(rules: Rules, heard: State, at: number, reason: FlipReason): Change {
  const failures = heard.failures + 1
  const failed = { ...heard, failures, successes: 0 }
  if (heard.status === 'down') return { state: { ...failed, failures: 0 }, flip: null }
  if (failures < (rules.failureThreshold ?? 1)) return { state: failed, flip: null }
  return flipTo({ ...failed, status: 'down' }, failed, at, reason, false)
}

function failureReason(heartbeat: Heartbeat): FlipReason {
  return heartbeat.exitStatus === null || heartbeat.exitStatus === 0 ? 'fail' : `exit ${heartbeat.exitStatus}`
}

/** While down no deadline runs, so successes that are not consecutive in time are noticed when the next one comes. */
function wentSilent(rules: Rules, state: State, at: number, windows: readonly BlindWindow[]): boolean {
  if (state.successes === 0) return false
  const end = endOfGrace(rules, { ...state, status: 'up', missed: 0 }, windows)
  return end !== null && at >= end.at
}

function nextWait(rules: Rules, state: State, windows: readonly BlindWindow[]): Wait | null {
  if (state.status === 'down') return null
  const run = endOfRun(rules, state, windows)
  const grace = endOfGrace(rules, state, windows)
  const pause = endOfPause(rules, state)
  return [run, grace, pause].reduce((first, wait) => (first && (!wait || first.at <= wait.at) ? first : wait), null)
}

function endOfGrace(rules: Rules, state: State, windows: readonly BlindWindow[]): Wait | null {
  if (state.status !== 'up' || state.lastPing === null) return null
  if (rules.schedule.kind === 'simple') {
    const lengthMs = (rules.schedule.timeoutS * (state.missed + 1) + rules.graceS) * 1000
    return { at: endOfWait(state.lastPing, lengthMs, windows), since: state.lastPing, cause: 'timeout' }
  }
  const slot = graceStart(rules, state, windows)
  if (slot === null) return null
  return { at: endOfWait(slot, rules.graceS * 1000, windows), since: slot, cause: 'timeout' }
}

/** When the heartbeat is due, before any grace; a slot of a cron schedule does not move, only the grace after it does. */
function graceStart(rules: Rules, state: State, windows: readonly BlindWindow[]): number | null {
  const { schedule, earlyToleranceS } = rules
  if (state.status !== 'up' || state.lastPing === null) return null
  if (schedule.kind === 'simple')
    return endOfWait(state.lastPing, schedule.timeoutS * 1000 * (state.missed + 1), windows)
  const first = nextDue(schedule, state.lastPing)
  if (first === null || earlyToleranceS === null)
    return first === null ? null : nthDue(schedule, state.lastPing, state.missed + 1)
  // An early heartbeat counts for the coming slot, but never from further away than half a period: with a tolerance
  // as long as the period each heartbeat would otherwise skip a slot.
  const second = nextDue(schedule, first)
  const toleranceMs = Math.min(
    earlyToleranceS * 1000,
    second === null ? Number.POSITIVE_INFINITY : (second - first) / 2,
  )
  const early = first - state.lastPing <= toleranceMs
  return nthDue(schedule, early ? first : state.lastPing, state.missed + 1)
}

function endOfRun(rules: Rules, state: State, windows: readonly BlindWindow[]): Wait | null {
  if (state.lastStart === null) return null
  const end = endOfWait(state.lastStart, (rules.maxRuntimeS ?? rules.graceS) * 1000, windows)
  // A limit that was tightened later must not date a flip before the heartbeat that made the last one.
  return { at: Math.max(end, state.lastPing ?? end), since: state.lastStart, cause: 'overrun' }
}

function isOverrun(rules: Rules, state: State, at: number, windows: readonly BlindWindow[]): boolean {
  const end = endOfRun(rules, state, windows)
  return end !== null && at >= end.at
}

function endOfPause(rules: Rules, state: State): Wait | null {
  if (state.status !== 'paused' || rules.pausedUntil === null) return null
  return { at: rules.pausedUntil, since: rules.pausedUntil, cause: 'resumed' }
}

function closed(state: State): State {
  return { ...state, lastStart: null, lastStartRid: null }
}

function resumed(state: State): State {
  return { ...initialState, n: state.n, flipSeq: state.flipSeq }
}

function flipTo(next: State, before: State, at: number, reason: FlipReason, silent: boolean): Change {
  const seq = before.flipSeq + 1
  const flip: Flip = { seq, at, from: before.status, to: next.status, reason, silent, blind: null }
  return { state: { ...next, flipSeq: seq }, flip }
}
