// Maintenance windows: one time span, or a span that begins at each match of a cron expression. For all checks or for
// some.

import { nextCronMatch, parseCron } from '../../schedule/cron.ts'

export type MaintenanceTime =
  | { kind: 'once'; from: number; to: number }
  | { kind: 'cron'; cron: string; durationS: number; tz: string }

/** The checks of a window, by id or by tag; for all checks if both are null. */
export type MaintenanceScope = { checks: readonly string[] | null; tags: readonly string[] | null }

/**
 * When the window that is open at `now` ends; null if none is open. A window that begins before this one ends is found
 * then.
 */
export function openUntil(time: MaintenanceTime, now: number): number | null {
  if (time.kind === 'once') return time.from <= now && now < time.to ? time.to : null
  const cron = parseCron(time.cron)
  if (cron === null) return null
  const lengthMs = time.durationS * 1000
  const start = nextCronMatch(cron, now - lengthMs, time.tz)
  return start !== null && start <= now ? start + lengthMs : null
}

export function isAffected(
  { checks, tags }: MaintenanceScope,
  check: { id: string; tags: readonly string[] },
): boolean {
  if (checks === null && tags === null) return true
  return (checks ?? []).includes(check.id) || (tags ?? []).some((tag) => check.tags.includes(tag))
}
