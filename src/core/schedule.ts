// When a monitor's next heartbeat is expected. A simple schedule counts from the last one; a cron schedule has moments of
// its own, in its time zone. systemd's OnCalendar joins as a third member of the union with a parser beside cron.ts: its
// moments come from `nextDue`, its expressions are what `detectKind` calls `other` today, and everything else follows.
// Instants are epoch milliseconds, lengths seconds.

import { nextCronMatch, parseCron } from './cron.ts'

export type Schedule = { kind: 'simple'; timeoutS: number } | { kind: 'cron'; schedule: string; tz: string }

/** The first scheduled moment strictly after `after`, or null when there are no more. Throws for an expression or zone that is not valid. */
export function nextDue(schedule: Schedule, after: number): number | null {
  if (schedule.kind === 'simple') return after + schedule.timeoutS * 1000
  const cron = parseCron(schedule.schedule)
  if (cron === null) throw new Error(`not a valid cron expression: ${schedule.schedule}`)
  return nextCronMatch(cron, after, schedule.tz)
}

/** The `k`-th (from 1) scheduled moment strictly after `after`, or null when there are fewer. A cron schedule takes time in proportion to `k`. */
export function nthDue(schedule: Schedule, after: number, k: number): number | null {
  if (schedule.kind === 'simple') return after + k * schedule.timeoutS * 1000
  let due: number | null = after
  for (let count = 0; count < k && due !== null; count++) due = nextDue(schedule, due)
  return due
}

/** One line of five fields is cron, whether valid or not. */
export function detectKind(expression: string): 'cron' | 'other' {
  return /^\S+(?:[^\S\r\n]+\S+){4}$/.test(expression.trim()) ? 'cron' : 'other'
}

/** Whether a monitor may have this schedule: only cron for now. */
export function isValidExpression(expression: string): boolean {
  return detectKind(expression) === 'cron' && parseCron(expression) !== null
}
