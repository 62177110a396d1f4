// When the next heartbeat of a check is due. A simple schedule counts from the last heartbeat; a cron or calendar
// schedule has fixed moments in its time zone. Instants are epoch milliseconds, lengths seconds.

import { memo } from '../kit/memo.ts'
import { nextCronMatch, parseCron } from './cron.ts'
import { nextCalendarMatch, parseCalendar } from './oncalendar.ts'

export type Schedule =
  | { kind: 'simple'; timeoutS: number }
  | { kind: 'cron' | 'oncalendar'; schedule: string; tz: string }

/**
 * The first scheduled moment strictly after `after`, or null when there are no more. Throws for an invalid expression or
 * zone.
 */
export function nextDue(schedule: Schedule, after: number): number | null {
  if (schedule.kind === 'simple') return after + schedule.timeoutS * 1000
  const gaps = gapsOf(`${schedule.kind}\n${schedule.tz}\n${schedule.schedule}`)
  const known = gaps.find(({ from, due }) => from <= after && after < due)
  if (known !== undefined) return known.due
  const due = findDue(schedule, after)
  if (due !== null) gaps.unshift({ from: after, due })
  gaps.splice(gapsMax)
  return due
}

// A rare moment is expensive to find, and thousands of heartbeats with the same next moment may come before it.
const gapsMax = 4
const gapsOf = memo(1000, (_schedule: string): { from: number; due: number }[] => [])

function findDue(schedule: Exclude<Schedule, { kind: 'simple' }>, after: number): number | null {
  if (schedule.kind === 'oncalendar') {
    const calendar = parseCalendar(schedule.schedule)
    if (calendar === null) throw new Error(`not a valid OnCalendar expression: ${schedule.schedule}`)
    return nextCalendarMatch(calendar, after, schedule.tz)
  }
  const cron = parseCron(schedule.schedule)
  if (cron === null) throw new Error(`not a valid cron expression: ${schedule.schedule}`)
  return nextCronMatch(cron, after, schedule.tz)
}

// A check that waits for the 700th moment waited for the 699th just before, and every list of checks asks again for
// each.
const reachedOf = memo(20_000, (_scheduleAndStart: string): { count: number; due: number | null } => ({
  count: 0,
  due: null,
}))

/** The `k`-th (from 1) scheduled moment strictly after `after`, or null when there are fewer. */
export function nthDue(schedule: Schedule, after: number, k: number): number | null {
  if (schedule.kind === 'simple') return after + k * schedule.timeoutS * 1000
  if (k === 1) return nextDue(schedule, after)
  const reached = reachedOf(`${schedule.kind}\n${schedule.tz}\n${schedule.schedule}\n${after}`)
  if (reached.count === 0 || reached.count > k) Object.assign(reached, { count: 1, due: nextDue(schedule, after) })
  for (; reached.count < k && reached.due !== null; reached.count++) reached.due = nextDue(schedule, reached.due)
  return reached.due
}

/** A single line of five fields is cron, valid or not; anything else is OnCalendar. */
export function detectKind(expression: string): 'cron' | 'oncalendar' {
  return /^\S+(?:[^\S\r\n]+\S+){4}$/.test(expression.trim()) ? 'cron' : 'oncalendar'
}

/** Whether a check may have this schedule. */
export function isValidExpression(expression: string): boolean {
  const parse = detectKind(expression) === 'cron' ? parseCron : parseCalendar
  return parse(expression) !== null
}
