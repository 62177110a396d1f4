// Which alerts a channel gets.

import type { QuietHours } from '../core/alerting/quiet-hours.ts'

export const severities = ['info', 'warning', 'critical'] as const
export type CheckSeverity = (typeof severities)[number]

/** An absent field means every alert, once. Lengths in seconds. */
export type WantedAlerts = {
  events?: ('down' | 'up')[]
  severities?: CheckSeverity[]
  quiet_hours?: QuietHours
  remind_every?: number
  escalate?: { to: string; after: number }
}
