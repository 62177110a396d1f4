// A monitor as its owner sees it: what can be set, with the defaults of the Healthchecks protocol, and what follows from it.

import type { SignalFilters } from './heartbeat.ts'
import type { Schedule } from './schedule.ts'
import type { Rules, State } from './status.ts'

/** Lengths in seconds, `pausedUntil` in epoch milliseconds; null is "not set". */
export type Settings = SignalFilters & {
  name: string
  slug: string
  tags: string
  desc: string
  kind: Schedule['kind']
  timeoutS: number
  graceS: number
  schedule: string
  tz: string
  filterSubject: boolean
  filterBody: boolean
  maxRuntimeS: number | null
  minRuntimeS: number | null
  failureThreshold: number | null
  recoveryThreshold: number | null
  earlyToleranceS: number | null
  pausedUntil: number | null
}

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
}

/** `createdAt`, `deadline` and `lookAt` in epoch milliseconds. `lookAt` is never later than `deadline`. */
export type Monitor = {
  id: string
  projectId: string
  badgeKey: string
  createdAt: number
  settings: Settings
  state: State
  deadline: number | null
  lookAt: number | null
}

export function rulesOf(settings: Settings): Rules {
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
  }
}
