// A check waits for up to three instants at once: the end of grace after its last heartbeat (simple: timeout + grace
// after it; cron: grace after the next slot), the end of the allowed time of a watched run, and, while paused, the end
// of the pause. The earliest is its deadline. Time in which no replica could accept heartbeats does not count.

import { nextDue, nthDue } from '../schedule/schedule.ts'
import { type BlindWindow, endOfWait } from './blind-time.ts'
import { earliestStart } from './runs.ts'
import type { Rules, State } from './status.ts'

export type Wait = { at: number; since: number; cause: 'timeout' | 'overrun' | 'resumed' }

export function nextWait(rules: Rules, state: State, windows: readonly BlindWindow[]): Wait | null {
  if (state.status === 'down') return null
  const run = longestRun(rules, state, windows)
  const grace = endOfGrace(rules, state, windows)
  const pause = endOfPause(rules, state)
  return [run, grace, pause].reduce((first, wait) => (first && (!wait || first.at <= wait.at) ? first : wait), null)
}

export function endOfGrace(rules: Rules, state: State, windows: readonly BlindWindow[]): Wait | null {
  if (state.status !== 'up' || state.lastPing === null) return null
  if (rules.schedule.kind === 'simple') {
    const lengthMs = (rules.schedule.timeoutS * (state.missed + 1) + rules.graceS) * 1000
    return { at: endOfWait(state.lastPing, lengthMs, windows), since: state.lastPing, cause: 'timeout' }
  }
  const slot = graceStart(rules, state, windows)
  if (slot === null) return null
  return { at: endOfWait(slot, rules.graceS * 1000, windows), since: slot, cause: 'timeout' }
}

/** When the heartbeat is due, before any grace. A blind window moves the grace of a cron slot, not the slot. */
export function graceStart(rules: Rules, state: State, windows: readonly BlindWindow[]): number | null {
  const { schedule, earlyToleranceS } = rules
  if (state.status !== 'up' || state.lastPing === null) return null
  if (schedule.kind === 'simple')
    return endOfWait(state.lastPing, schedule.timeoutS * 1000 * (state.missed + 1), windows)
  const first = nextDue(schedule, state.lastPing)
  if (first === null || earlyToleranceS === null)
    return first === null ? null : nthDue(schedule, state.lastPing, state.missed + 1)
  // An early heartbeat counts for the coming slot, but only within half a period before it: with a tolerance as long as
  // the period each heartbeat would otherwise skip a slot.
  const second = nextDue(schedule, first)
  const toleranceMs = Math.min(
    earlyToleranceS * 1000,
    second === null ? Number.POSITIVE_INFINITY : (second - first) / 2,
  )
  const early = first - state.lastPing <= toleranceMs
  return nthDue(schedule, early ? first : state.lastPing, state.missed + 1)
}

function longestRun(rules: Rules, state: State, windows: readonly BlindWindow[]): Wait | null {
  const since = earliestStart(state, rules.trackRuns)
  return since === null ? null : { at: endOfRun(rules, state, since, windows), since, cause: 'overrun' }
}

/** Whether the watched run that has been open longest has taken too long. */
export function isOverrun(rules: Rules, state: State, at: number, windows: readonly BlindWindow[]): boolean {
  const run = longestRun(rules, state, windows)
  return run !== null && at >= run.at
}

export function endOfRun(rules: Rules, state: State, startedAt: number, windows: readonly BlindWindow[]): number {
  const end = endOfWait(startedAt, (rules.maxRuntimeS ?? rules.graceS) * 1000, windows)
  // A limit that was lowered later must not date a flip before the heartbeat of the previous flip.
  return Math.max(end, state.lastPing ?? end)
}

function endOfPause(rules: Rules, state: State): Wait | null {
  if (state.status !== 'paused' || rules.pausedUntil === null) return null
  return { at: rules.pausedUntil, since: rules.pausedUntil, cause: 'resumed' }
}
