// Cron expressions as Debian's cron reads them, with the extensions that Healthchecks accepts: minute, hour, day of
// month, month, weekday; lists, ranges, steps, names; L and LW for days, 5L and MON#2 for weekdays. The beginning of an
// expression decides how it behaves when the clocks change. If neither minute nor hour begins with `*`, the expression
// names times of the day, and each of them happens once: at its first instant, or at the end of the gap that skipped
// it. To find it, take the latest wall time that the clock has shown so far, the next match after it, and the first
// instant at which the clock reaches that match. Otherwise the expression means an interval and follows
// elapsed time: it matches whenever the clock shows a match, so the calendar is searched again in each span of one
// offset.
//
// croner 11 refuses `5/15` and `L/2`, runs `0 0,1 * * *` twice in a repeated hour and accepts `15W`, `?` and macros;
// cron-parser 5 lacks LW, moves a skipped job by the length of the gap and depends on luxon. Hence this parser.

import { type DayOfMonth, dayMs, findDay, monthOf } from '../kit/days.ts'
import { memo } from '../kit/memo.ts'
import { firstInstant, latestWallTime, spanAt } from './time-zone.ts'

export type Cron = {
  minutes: readonly number[]
  hours: readonly number[]
  /** 1–31, LAST_DAY, LAST_WORKDAY */
  days: ReadonlySet<number>
  /** 1–12 */
  months: ReadonlySet<number>
  /** 0–6 from Sunday; the nth of the month as weekday + 10 × n, the last as weekday + 10 × LAST */
  weekdays: ReadonlySet<number>
  /** a day must match both day fields, not just one */
  bothDays: boolean
  /** names times of the day that happen once each, not an interval */
  timesOfDay: boolean
}

type CronField = { min: number; max: number; names?: readonly string[]; special?: (item: string) => number | undefined }

const MINUTE_MS = 60_000
const HORIZON_YEARS = 50
const EXPRESSION_LIMIT = 5_000
const LAST_DAY = 32
const LAST_WORKDAY = 33
const LAST = 6

const MINUTE: CronField = { min: 0, max: 59 }
const HOUR: CronField = { min: 0, max: 23 }
const DAY: CronField = { min: 1, max: 31, special: lastOfMonth }
const MONTH: CronField = {
  min: 1,
  max: 12,
  names: ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
}
const WEEKDAY: CronField = {
  min: 0,
  max: 7,
  names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
  special: weekdayOfMonth,
}

/** The parsed expression, or null if it is malformed or no day from 2000-01-01 on matches it. */
export const parseCron = memo(EXPRESSION_LIMIT, (expression: string): Cron | null => {
  const fields = expression.trim().toLowerCase().split(/\s+/)
  if (fields.length !== 5) return null
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string]
  const minutes = parseField(minute, MINUTE)
  const hours = parseField(hour, HOUR)
  const days = parseField(day, DAY)
  const months = parseField(month, MONTH)
  const weekdays = parseField(weekday, WEEKDAY)
  if (!minutes || !hours || !days || !months || !weekdays) return null
  const cron = {
    minutes: [...minutes].sort((a, b) => a - b),
    hours: [...hours].sort((a, b) => a - b),
    days,
    months,
    weekdays: new Set([...weekdays].map((value) => (value === 7 ? 0 : value))),
    bothDays: day.startsWith('*') || weekday.startsWith('*'),
    timesOfDay: !minute.startsWith('*') && !hour.startsWith('*'),
  }
  return nextDay(cron, Date.UTC(2000, 0, 1) / dayMs) === null ? null : cron
})

/** The first match strictly after the instant `after` in the zone `tz`, or null if there is none within 50 years. */
export function nextCronMatch(cron: Cron, after: number, tz: string): number | null {
  if (!cron.timesOfDay) return nextIntervalMatch(cron, after, tz)
  const wall = nextWallTime(cron, latestWallTime(tz, after))
  return wall === null ? null : firstInstant(tz, wall)
}

function nextIntervalMatch(cron: Cron, after: number, tz: string): number | null {
  const horizon = after + HORIZON_YEARS * 366 * dayMs
  for (let span = spanAt(tz, after); span.from < horizon; span = spanAt(tz, span.until)) {
    const wall = nextWallTime(cron, Math.max(after, span.from - 1) + span.offset)
    if (wall !== null && wall - span.offset < span.until) return wall - span.offset
  }
  return null
}

/** The first matching wall time strictly after `wall`, as if no clock ever jumped. */
function nextWallTime(cron: Cron, wall: number): number | null {
  const minute = Math.floor(wall / MINUTE_MS) + 1
  const today = Math.floor(minute / 1440)
  const day = nextDay(cron, today)
  if (day === null) return null
  const time = nextTime(cron, day === today ? minute - today * 1440 : 0)
  if (time !== undefined) return day * dayMs + time * MINUTE_MS
  return nextWallTime(cron, (today + 1) * dayMs - 1)
}

/** The first matching time of the day at or after `time`, both in minutes since midnight. */
function nextTime({ hours, minutes }: Cron, time: number): number | undefined {
  const hour = Math.floor(time / 60)
  if (hours.includes(hour)) {
    const minute = minutes.find((minute) => minute >= time % 60)
    if (minute !== undefined) return hour * 60 + minute
  }
  const later = hours.find((other) => other > hour)
  return later === undefined ? undefined : later * 60 + (minutes[0] as number)
}

/** The first matching day at or after `day`, both in days since 1970-01-01. */
function nextDay(cron: Cron, day: number): number | null {
  const lastMonth = monthOf(day) + HORIZON_YEARS * 12
  return findDay(
    day,
    lastMonth,
    (_year, month) => cron.months.has(month),
    (candidate) => matchesDay(cron, candidate),
  )
}

function matchesDay({ days, weekdays, bothDays }: Cron, { number, length, weekday }: DayOfMonth): boolean {
  const byDay =
    days.has(number) ||
    (number === length && days.has(LAST_DAY)) ||
    (days.has(LAST_WORKDAY) && isLastWorkday(number, length, weekday))
  if (byDay !== bothDays) return byDay
  return (
    weekdays.has(weekday) ||
    weekdays.has(weekday + 10 * Math.ceil(number / 7)) ||
    (number + 7 > length && weekdays.has(weekday + 10 * LAST))
  )
}

function isLastWorkday(number: number, length: number, weekday: number): boolean {
  return weekday >= 1 && weekday <= 5 && number >= length - (weekday === 5 ? 2 : 0)
}

function parseField(text: string, field: CronField): Set<number> | null {
  const values = new Set<number>()
  for (const item of text.split(',')) {
    const special = field.special?.(item)
    const range = special === undefined ? parseRange(item, field) : [special]
    if (!range) return null
    for (const value of range) values.add(value)
  }
  return values
}

function parseRange(item: string, field: CronField): number[] | null {
  const [, start, end, step] = /^(\*|[a-z]+|\d+)(?:-([a-z]+|\d+))?(?:\/(\d+))?$/.exec(item) ?? []
  if (start === undefined || (start === '*' && end !== undefined) || Number(step) === 0) return null
  const from = start === '*' ? field.min : parseValue(start, field)
  const to = end === undefined ? (start === '*' || step ? field.max : from) : parseValue(end, field)
  if (!(from >= field.min && from <= to && to <= field.max)) return null
  const values: number[] = []
  for (let value = from; value <= to; value += Number(step ?? 1)) values.push(value)
  return values
}

/** -1 if `text` is not a value of the field. */
function parseValue(text: string, { names }: CronField): number {
  return /^\d/.test(text) ? Number(text) : (names?.indexOf(text) ?? -1)
}

function lastOfMonth(item: string): number | undefined {
  const [, name, step] = /^(lw?)(?:\/(\d+))?$/.exec(item) ?? []
  if (name === undefined || Number(step) === 0) return undefined
  return name === 'l' ? LAST_DAY : LAST_WORKDAY
}

function weekdayOfMonth(item: string): number | undefined {
  const [, last] = /^0*([0-7])l$/.exec(item) ?? []
  if (last !== undefined) return (Number(last) % 7) + 10 * LAST
  const [, day, nth] = /^([a-z]+|\d+)#0*([1-5])$/.exec(item) ?? []
  const weekday = day === undefined ? -1 : parseValue(day, WEEKDAY)
  return weekday >= 0 && weekday <= 7 ? (weekday % 7) + 10 * Number(nth) : undefined
}
