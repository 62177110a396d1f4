// A check as its owner sees it: what can be set, with the defaults of the Healthchecks protocol, and what follows from it.

import type { Schedule } from '../schedule/schedule.ts'
import type { SignalFilters } from './heartbeat.ts'
import type { Rules, State } from './status.ts'

/** Lengths in seconds, `pausedUntil` in epoch milliseconds; null is "not set". */
export type Settings = SignalFilters &
  Omit<Rules, 'schedule' | 'trackRuns'> & {
    trackRuns: boolean | null
    name: string
    slug: string
    tags: string
    desc: string
    kind: Schedule['kind']
    timeoutS: number
    schedule: string
    tz: string
    maxPingsPerMinute: number | null
    /** How much an outage matters, for channels that choose. */
    severity: 'info' | 'warning' | 'critical' | null
    /** Between reminders of an outage, on every channel; null leaves it to each channel. */
    remindEveryS: number | null
    /** Id of the check during whose outage this one sends no alerts. */
    parent: string | null
  }

/** The settings on which a status depends. The others are for people. */
export type DecidingSettings = Omit<
  Settings,
  'name' | 'slug' | 'tags' | 'desc' | 'parent' | 'severity' | 'remindEveryS'
>

export const defaultSettings: Settings = {
  name: '',
  slug: '',
  tags: '',
  desc: '',
  kind: 'simple',
  timeoutS: 86_400,
  graceS: 3600,
  schedule: '* * * * *',
  tz: 'UTC',
  manualResume: false,
  methods: '',
  filterSubject: false,
  filterBody: false,
  filterHttpBody: false,
  filterDefaultFail: false,
  startKw: '',
  successKw: '',
  failureKw: '',
  maxRuntimeS: null,
  minRuntimeS: null,
  failureThreshold: null,
  recoveryThreshold: null,
  earlyToleranceS: null,
  pausedUntil: null,
  trackRuns: null,
  maxPingsPerMinute: null,
  severity: null,
  remindEveryS: null,
  parent: null,
}

/**
 * A part of a check's history that must be judged again (core/rejudge.ts) once every heartbeat received until `to` is in the database:
 * from `from` on. Epoch milliseconds.
 */
export type Unsettled = { from: number; to: number }

/** What is needed to decide about a check. Instants in epoch milliseconds; `lookAt` is never later than `deadline`. */
export type WatchedCheck = {
  id: string
  projectId: string
  settings: DecidingSettings
  state: State
  deadline: number | null
  lookAt: number | null
  unsettled: Unsettled | null
}

/** The whole of it. */
export type Check = WatchedCheck & { badgeKey: string; createdAt: number; settings: Settings }

/** As Healthchecks reads them: words between spaces. */
export function tagsOf({ tags }: Pick<Settings, 'tags'>): string[] {
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
