// The state machine of one check. Everything that can change a status is here, as pure functions of the user's settings
// (rules), the stored state, the times in which no replica could accept heartbeats (blind windows) and an instant.
//
// waits.ts computes what a check waits for; the earliest wait is its deadline. `onTime` applies a deadline that has
// passed and dates the flip at the deadline, not at the moment of detection; `onHeartbeat` applies one signal. A
// heartbeat received at t is always onTime(t) first and then onHeartbeat, so a heartbeat that comes after an undetected
// deadline yields both changes. Each call yields at most one flip. runs.ts knows which runs are open.
//
// Thresholds count consecutive failures (reported, overrun, too short or missed) and consecutive successes; below the
// threshold the status does not change. A missed slot below the threshold moves the deadline to the next slot.
//
// The rules are those of Healthchecks (https://healthchecks.io/docs/), plus what a field of the rules switches on, and
// with one exception: when a heartbeat brings a check up, a run that overran while the check was down is over. Otherwise its
// deadline would lie before the flip that it follows.

import type { Schedule } from '../schedule/schedule.ts'
import { type BlindWindow, windowDuring } from './blind-time.ts'
import type { Heartbeat } from './heartbeat.ts'
import { endRun, pairingMs, type Runs, startRun, unwatch } from './runs.ts'
import { endOfGrace, endOfRun, graceStart, isOverrun, nextWait } from './waits.ts'
import type { Unheard } from './watermark.ts'

export type Status = 'new' | 'up' | 'down' | 'paused'

/** What the user has set. Lengths in seconds; `pausedUntil` in epoch milliseconds. */
export type Rules = {
  schedule: Schedule
  graceS: number
  maxRuntimeS: number | null
  minRuntimeS: number | null
  failureThreshold: number | null
  recoveryThreshold: number | null
  earlyToleranceS: number | null
  pausedUntil: number | null
  /** Whether every open run is watched, each by its rid, and not only the one that started last. */
  trackRuns: boolean
}

/**
 * What is stored. Instants in epoch milliseconds. `n` counts recorded heartbeats and `flipSeq` flips; `failures` and
 * `successes` count consecutive ones below a threshold; `missed` counts the slots that were missed since the last
 * heartbeat.
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
 * One status change. A silent flip alerts nobody. A flip that a deadline caused has three more fields: `since`, the
 * start of the wait; `blind`, the window in which a heartbeat may have been refused; and `unheard`, the replica that
 * may have acknowledged a heartbeat and not reported it.
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

/** How far the receive times of two replicas may differ for signals that came one after the other. */
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

/** The state at `now` if no heartbeat came, and the flip of the deadline that has passed, if any. */
export function onTime(rules: Rules, state: State, now: number, windows: readonly BlindWindow[]): Change {
  let current = state
  // One iteration per missed slot below the failure threshold, which is at most 720.
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
 * Applies one heartbeat received at `heartbeat.at`; the caller has applied onTime at that instant. A heartbeat older
 * than the last known one (a replay) counts in `n` and changes nothing else. `durationMs` is the duration of the run
 * that it ended.
 */
export function onHeartbeat(
  rules: Rules,
  state: State,
  heartbeat: Heartbeat,
  windows: readonly BlindWindow[],
): Change & { durationMs: number | null } {
  const counted = { ...state, n: state.n + 1 }
  const { kind, rid } = heartbeat
  // The clocks of two replicas differ by milliseconds, so a later heartbeat may look that much older: it then counts as
  // simultaneous.
  const looksOlderMs = (state.lastPing ?? heartbeat.at) - heartbeat.at
  const at = looksOlderMs > 0 && looksOlderMs <= replicaSkewMs ? heartbeat.at + looksOlderMs : heartbeat.at
  const stale = at < (state.lastPing ?? at) || (kind === 'start' && at < (state.lastStart ?? at) - replicaSkewMs)
  if (kind === 'log' || kind === 'ign' || stale) return { state: counted, flip: null, durationMs: null }
  if (kind === 'start') return { state: startRun(counted, rid, at, rules.trackRuns), flip: null, durationMs: null }

  const { runs, lengthMs, lastDurationMs } = endRuns(rules, counted, kind, rid, at, windows)
  const durationMs = lengthMs !== null && lengthMs <= pairingMs ? lengthMs : null
  const tooShort = rules.minRuntimeS !== null && lengthMs !== null && lengthMs < rules.minRuntimeS * 1000
  const updated: State = { ...runs, lastPing: at, lastDurationMs, missed: 0 }
  if (kind === 'fail') return { ...onFailure(rules, updated, at, failureReason(heartbeat)), durationMs }
  if (tooShort) return { ...onFailure(rules, updated, at, 'too_short'), durationMs }
  return { ...onSuccess(rules, state, updated, at, windows), durationMs }
}

/** Pauses until resumed. The caller has applied onTime at `now`. Changes nothing if already paused. */
export function onPause(state: State, now: number): Change {
  if (state.status === 'paused') return { state, flip: null }
  const paused: State = { ...unwatch(state, () => true, false), status: 'paused', failures: 0, successes: 0, missed: 0 }
  return flipTo(paused, state, now, 'paused', true)
}

/** Failures and missed slots of the old schedule say nothing about the new one. */
export function onReschedule(state: State): State {
  return { ...state, failures: 0, missed: 0 }
}

/** Back to `new`, without knowledge of earlier heartbeats. Only from `paused`; otherwise nothing changes. */
export function onResume(state: State, now: number): Change {
  return state.status === 'paused' ? flipTo(resumed(state), state, now, 'resumed', true) : { state, flip: null }
}

/** When the state would change without a heartbeat, in epoch milliseconds; null if never. */
export function deadlineOf(rules: Rules, state: State, windows: readonly BlindWindow[]): number | null {
  return nextWait(rules, state, windows)?.at ?? null
}

/** `started`: a run is open. `running`: a run is open and has not taken too long. */
export type Reading = { status: Status | 'grace'; started: boolean; running: boolean; nextPing: number | null }

/** The status that a reader sees at `now`, whether or not a detector has applied a passed deadline yet. */
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
 * A success or failure ends the run of its rid. It also ends the watch of the watched run if it is a failure or has no
 * rid, unless every run is watched.
 */
function endRuns(
  rules: Rules,
  state: State,
  kind: 'success' | 'fail',
  rid: string | null,
  at: number,
  windows: readonly BlindWindow[],
): { runs: State; lengthMs: number | null; lastDurationMs: number | null } {
  // A run that started later is not meant (a replay), unless it only appears later because two replicas received start
  // and end.
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

function onSuccess(rules: Rules, before: State, updated: State, at: number, windows: readonly BlindWindow[]): Change {
  const up: State = { ...updated, status: 'up', failures: 0, successes: 0 }
  if (updated.status === 'up') return { state: up, flip: null }
  if (updated.status !== 'down') return flipTo(up, updated, at, 'recovered', true)
  const successes = 1 + (wentSilent(rules, before, at, windows) ? 0 : updated.successes)
  if (successes >= (rules.recoveryThreshold ?? 1)) return flipTo(up, updated, at, 'recovered', false)
  return { state: { ...updated, failures: 0, successes }, flip: null }
}

function onFailure(rules: Rules, updated: State, at: number, reason: FlipReason): Change {
  const failures = updated.failures + 1
  const failed = { ...updated, failures, successes: 0 }
  if (updated.status === 'down') return { state: { ...failed, failures: 0 }, flip: null }
  if (failures < (rules.failureThreshold ?? 1)) return { state: failed, flip: null }
  return flipTo({ ...failed, status: 'down' }, failed, at, reason, false)
}

function failureReason(heartbeat: Heartbeat): FlipReason {
  return heartbeat.exitStatus === null || heartbeat.exitStatus === 0 ? 'fail' : `exit ${heartbeat.exitStatus}`
}

/** While a check is down it has no deadline, so a gap between two successes is detected when the next one comes. */
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
