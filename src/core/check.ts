// What the core must know about a check to decide its status. All settings that its owner can change are in
// checks/fields/fields.ts.

import type { Schedule } from '../schedule/schedule.ts'
import type { SignalFilters } from './heartbeat.ts'
import type { Rules, State } from './status.ts'

/** The settings on which a status depends. Lengths in seconds, `pausedUntil` in epoch milliseconds; null is "not set". */
export type DecidingSettings = SignalFilters &
  Omit<Rules, 'schedule' | 'trackRuns'> & {
    trackRuns: boolean | null
    kind: Schedule['kind']
    timeoutS: number
    schedule: string
    tz: string
    maxPingsPerMinute: number | null
  }

/**
 * The part of a check's history that must be evaluated again (core/reevaluate.ts) once the database holds every
 * heartbeat received until `to`. It begins at `from`. Epoch milliseconds.
 */
export type Unsettled = { from: number; to: number }

/**
 * What the core needs to decide about a check. Instants in epoch milliseconds; `lookAt` is never later than `deadline`.
 */
export type WatchedCheck = {
  id: string
  projectId: string
  settings: DecidingSettings
  state: State
  deadline: number | null
  lookAt: number | null
  unsettled: Unsettled | null
  /** The secrets that sign its heartbeats, encrypted; without them no signature is needed. */
  signingSecret?: Buffer | null
}

/** As Healthchecks reads them: words between spaces. */
export function tagsOf({ tags }: { tags: string }): string[] {
  return tags
    .split(' ')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
}

export function rulesOf(settings: DecidingSettings): Rules {
  const { kind, timeoutS, schedule, tz } = settings
  return {
    schedule: kind === 'simple' ? { kind, timeoutS } : { kind, schedule, tz },
    graceS: settings.graceS,
    maxRuntimeS: settings.maxRuntimeS,
    minRuntimeS: settings.minRuntimeS,
    failureThreshold: settings.failureThreshold,
    recoveryThreshold: settings.recoveryThreshold,
    earlyToleranceS: settings.earlyToleranceS,
    pausedUntil: settings.pausedUntil,
    trackRuns: settings.trackRuns === true,
  }
}
