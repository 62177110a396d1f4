// The state machine of one check. Everything that can change a status is here, as pure functions of what the user set
// (rules), what is known (state), the times in which nobody could accept heartbeats (blind windows) and an instant.
//
// What a check waits for is in waits.ts; the earliest is its deadline. `onTime` applies a deadline that has passed and dates
// the flip at the deadline, not at the moment of noticing; `onHeartbeat` applies one signal. A heartbeat received at t is
// always onTime(t) first and then onHeartbeat, so that one which comes after an unnoticed deadline yields both changes.
// Each call yields at most one flip. Which runs are open is in runs.ts.
//
// Thresholds count consecutive failures (reported, overrun, too short or missed) and consecutive successes; below them the
// status stays. A missed slot that is below the threshold moves the deadline on by one slot.
//
// Beyond the Healthchecks rules (their catalogue, section 3) only what a field of the rules switches on, and one repair: a run that
// overran while the check was down is over when a heartbeat brings the check up, or its deadline would lie before
// the flip that it follows.

import type { Schedule } from '../schedule/schedule.ts'
import { type BlindWindow, windowDuring } from './blind-time.ts'
import type { Heartbeat } from './heartbeat.ts'
import { endRun, pairingMs, type Runs, startRun, unwatch } from './runs.ts'
import { endOfGrace, endOfRun, graceStart, isOverrun, nextWait } from './waits.ts'
import type { Unheard } from './watermark.ts'

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
  /** Watch every run that is open, each by its rid, and not only the one that started last. */
  trackRuns: boolean
}

/**
 * What is known. Instants in epoch milliseconds. `n` counts recorded heartbeats and `flipSeq` flips; `failures` and
 * `successes` are consecutive ones below a threshold; `missed` is how many slots since the last heartbeat were let pass.
 */
export type State = Runs & {
  status: Status
  n: number
  flipSeq: number
  lastPing: number | null
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
  /** Late heartbeats show that a recorded flip was wrong. */
  | 'corrected'

/**
 * One status change. A silent one alerts nobody. A flip of a deadline that passed has `since`, the start of the wait,
 * `blind`, the window in which a heartbeat may have been refused meanwhile, and `unheard`, the replica that may have
 * acknowledged one and not reported it.
 */
export type Flip = {
  seq: number
  at: number
  from: Status
  to: Status
  reason: FlipReason
  silent: boolean
  blind: BlindWindow | null
  since?: number
  unheard?: Unheard | null
}

export type Change = { state: State; flip: Flip | null }

/** How far the receive times of two replicas may be apart for signals that came one after the other. */
const replicaSkewMs = 1000

export const initialState: State = {
  status: 'new',
  n: 0,
  flipSeq: 0,
  lastPing: null,
  lastStart: null,
  lastStartRid: null,
  openRuns: [],
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
      if (change.flip)
        Object.assign(change.flip, { since: wait.since, blind: windowDuring(wait.since, wait.at, windows) })
      return change
    }
    current =
      wait.cause === 'timeout'
        ? { ...current, failures, missed: current.missed + 1 }
        : { ...unwatch(current, (startedAt) => startedAt <= wait.since, rules.trackRuns), failures }
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
  if (kind === 'start') return { state: startRun(counted, rid, at, rules.trackRuns), flip: null, durationMs: null }

  const { runs, lengthMs, lastDurationMs } = endRuns(rules, counted, kind, rid, at, windows)
  const durationMs = lengthMs !== null && lengthMs <= pairingMs ? lengthMs : null
  const tooShort = rules.minRuntimeS !== null && lengthMs !== null && lengthMs < rules.minRuntimeS * 1000
  const heard: State = { ...runs, lastPing: at, lastDurationMs, missed: 0 }
  if (kind === 'fail') return { ...onFailure(rules, heard, at, failureReason(heartbeat)), durationMs }
  if (tooShort) return { ...onFailure(rules, heard, at, 'too_short'), durationMs }
  return { ...onSuccess(rules, state, heard, at, windows), durationMs }
}

/** Pauses until resumed. The caller has applied onTime at `now`. Already paused: no change. */
export function onPause(state: State, now: number): Change {
  if (state.status === 'paused') return { state, flip: null }
  const paused: State = { ...unwatch(state, () => true, false), status: 'paused', failures: 0, successes: 0, missed: 0 }
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

/** `started`: a run is open; `running`: and it still may be. */
export type Reading = { status: Status | 'grace'; started: boolean; running: boolean; nextPing: number | null }

/** The status as a reader sees it at `now`, whether or not a detector has noticed a deadline yet. */
export function readingAt(rules: Rules, stored: State, now: number, windows: readonly BlindWindow[]): Reading {
  const { state } = onTime(rules, stored, now, windows)
  const started = state.lastStart !== null
  const running = started && !isOverrun(rules, state, now, windows)
  if (state.status === 'down') return { status: 'down', started, running, nextPing: null }
  const due = graceStart(rules, state, windows)
  const status = due !== null && now >= due ? 'grace' : state.status
  const nextPing = due === null ? state.lastStart : Math.min(due, state.lastStart ?? due)
  return { status, started, running, nextPing }
}

/**
 * A success or failure ends the run of its rid, and takes off the watch what it says is over: a failure or one without rid the run that
 * is watched, unless every run is.
 */
function endRuns(
  rules: Rules,
  state: State,
  kind: 'success' | 'fail',
  rid: string | null,
  at: number,
  windows: readonly BlindWindow[],
): { runs: State; lengthMs: number | null; lastDurationMs: number | null } {
  // A run that started later is not meant (a replay), unless it only looks later because two replicas received start and end.
  const until = at + replicaSkewMs
  const ended = endRun(state, rid, until, rules.trackRuns)
  const lengthMs = ended.startedAt === null ? null : Math.max(0, at - ended.startedAt)
  const endsAny = !rules.trackRuns && (kind === 'fail' || rid === null)
  const runs = unwatch(
    ended.state,
    (startedAt) => startedAt <= until && (endsAny || at >= endOfRun(rules, state, startedAt, windows)),
    rules.trackRuns,
  )
  return { runs, lengthMs, lastDurationMs: ended.wasLatest || rules.trackRuns ? lengthMs : null }
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

function resumed(state: State): State {
  const { openRuns } = unwatch(state, () => true, false)
  return { ...initialState, n: state.n, flipSeq: state.flipSeq, openRuns }
}

function flipTo(next: State, before: State, at: number, reason: FlipReason, silent: boolean): Change {
  const seq = before.flipSeq + 1
  const flip: Flip = { seq, at, from: before.status, to: next.status, reason, silent, blind: null }
  return { state: { ...next, flipSeq: seq }, flip }
}
