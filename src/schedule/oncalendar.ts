// Calendar expressions of systemd timers (systemd.time(7), "Calendar Events"), as far as Healthchecks accepts them: one
// expression per line (the earliest match counts); [weekdays] [date] [time] [zone] or one of the words below;
// numbers from 1970 to 2199 for years, lists, ranges a..b, steps a/n and a..b/n, `~` for days from the end of the
// month; whole seconds. The zone of an expression overrides that of the check.
//
// When clocks change it does what systemd's timers do, which compute each match from the last one by the wall clock: a
// time that the clocks skip in spring does not happen, and a time that they show twice in autumn happens only the first
// time, even for an expression that matches every minute. A heartbeat that comes while the hour is repeated, for
// example from a long job, changes nothing: the timer computes from the start of the job. (`systemd-analyze calendar`,
// asked for the match after an instant in the repeated hour, prints a match in that hour; that is the answer for a
// timer that is started within it.) No library on npm reads these expressions.

import { dayMs, findDay } from '../kit/days.ts'
import { memo } from '../kit/memo.ts'
import { readZone } from './legacy-zones.ts'
import { latestWallTime, spanAt } from './time-zone.ts'

/** The numbers of a field, ascending. Days from the end of the month are negative, the last is -1; weekdays count from Sunday, 0. */
type Line = {
  weekdays: readonly number[]
  years: readonly number[]
  months: readonly number[]
  days: readonly number[]
  hours: readonly number[]
  minutes: readonly number[]
  seconds: readonly number[]
  tz: string | null
}

export type Calendar = readonly Line[]

type CalendarField = { min: number; max: number; read?: (value: number) => number }

const expressionLimit = 5_000
const lastMonth = (2199 - 1970) * 12 + 11
/** No zone is further from UTC. */
const furthestMs = dayMs

const fields = {
  years: { min: 1970, max: 2199, read: fourDigits },
  months: { min: 1, max: 12 },
  days: { min: 1, max: 31 },
  hours: { min: 0, max: 23 },
  minutes: { min: 0, max: 59 },
  seconds: { min: 0, max: 59 },
} satisfies Record<string, CalendarField>
const lastReversedDay = 28
const weekdayNames = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']

/** A Map, because in a plain object `constructor` would be a word, too. */
const words = new Map(
  Object.entries({
    minutely: '*-*-* *:*:00',
    hourly: '*-*-* *:00:00',
    daily: '*-*-* 00:00:00',
    weekly: 'Mon *-*-* 00:00:00',
    monthly: '*-*-01 00:00:00',
    quarterly: '*-01,04,07,10-01 00:00:00',
    semiannually: '*-01,07-01 00:00:00',
    yearly: '*-01-01 00:00:00',
    annually: '*-01-01 00:00:00',
  }),
)

/** The parsed expression, or null if it is malformed or never matches after 2000-01-01. */
export const parseCalendar = memo(expressionLimit, (expression: string): Calendar | null => {
  const lines = expression.trim().split('\n').map(parseLine)
  if (lines.includes(null)) return null
  const calendar = lines as Line[]
  return nextCalendarMatch(calendar, Date.UTC(2000, 0, 1), 'UTC') === null ? null : calendar
})

/**
 * The first match strictly after the instant `after`, in the zone `tz` for lines that name none; null if there is none
 * before 2200.
 */
export function nextCalendarMatch(calendar: Calendar, after: number, tz: string): number | null {
  const matches = calendar.map((line) => nextMatch(line, after, line.tz ?? tz)).filter((match) => match !== null)
  return matches.length === 0 ? null : Math.min(...matches)
}

function nextMatch(line: Line, after: number, tz: string): number | null {
  let seen = latestWallTime(tz, after)
  for (let span = spanAt(tz, after); ; ) {
    const wall = nextWallTime(line, seen)
    if (wall === null) return null
    if (wall - span.offset < span.until) return wall - span.offset
    // The search can skip ahead to just before the match, even over a hundred years.
    span = spanAt(tz, Math.max(span.until, wall - furthestMs))
    // A skipped hour counts as shown, and a repeated hour as already shown.
    seen = Math.max(seen, span.from - 1 + span.offset)
  }
}

/** The first matching wall time strictly after `wall`, as if no clock ever jumped. */
function nextWallTime(line: Line, wall: number): number | null {
  const second = Math.floor(wall / 1000) + 1
  const today = Math.floor(second / 86_400)
  const day = nextDay(line, today)
  if (day === null) return null
  const time = nextTime(line, day === today ? second - today * 86_400 : 0)
  if (time !== null) return day * dayMs + time * 1000
  return nextWallTime(line, (today + 1) * dayMs - 1)
}

function nextDay({ weekdays, years, months, days }: Line, day: number): number | null {
  return findDay(
    day,
    lastMonth,
    (year, month) => months.includes(month) && years.includes(year),
    ({ number, length, weekday }) =>
      weekdays.includes(weekday) && (days.includes(number) || days.includes(number - length - 1)),
  )
}

/** The first matching time of the day at or after `time`, both in seconds since midnight. */
function nextTime({ hours, minutes, seconds }: Line, time: number): number | null {
  const [hour, minute, second] = [Math.floor(time / 3600), Math.floor(time / 60) % 60, time % 60]
  const first = (minutes[0] as number) * 60 + (seconds[0] as number)
  if (hours.includes(hour)) {
    const sameMinute = minutes.includes(minute) ? seconds.find((other) => other >= second) : undefined
    if (sameMinute !== undefined) return hour * 3600 + minute * 60 + sameMinute
    const later = minutes.find((other) => other > minute)
    if (later !== undefined) return hour * 3600 + later * 60 + (seconds[0] as number)
  }
  const later = hours.find((other) => other > hour)
  return later === undefined ? null : later * 3600 + first
}

function parseLine(text: string): Line | null {
  const parts = text.trim().split(/\s+/)
  const last = parts.at(-1) as string
  const tz = parts.length > 1 ? readZone(last) : null
  if (tz !== null) parts.pop()
  const word = parts.length === 1 ? words.get((parts[0] as string).toLowerCase()) : undefined
  const [weekdays, date, time] = arrange(word?.split(' ') ?? parts)
  if (weekdays === undefined || date === undefined || time === undefined) return null
  const [, year = '*', month = '', sign, day = ''] = /^(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)$/.exec(date) ?? []
  const [, hour = '', minute = '', second = '0'] = /^([^:]+):([^:]+)(?::([^:]+))?$/.exec(time) ?? []
  const parsed = {
    weekdays: parseWeekdays(weekdays),
    years: parseNumbers(year, fields.years),
    months: parseNumbers(month, fields.months),
    days: sign === '~' ? parseReversed(day) : parseNumbers(day, fields.days),
    hours: parseNumbers(hour, fields.hours),
    minutes: parseNumbers(minute, fields.minutes),
    seconds: parseNumbers(second, fields.seconds),
  }
  return Object.values(parsed).includes(null) ? null : ({ ...parsed, tz } as Line)
}

/** Weekdays, date and time, each with its default; nothing if there are too many parts. */
function arrange(parts: readonly string[]): string[] {
  const rest = [...parts]
  const time = rest.at(-1)?.includes(':') ? (rest.pop() as string) : '00:00:00'
  const date = /^[\d*]\S*[-~]/.test(rest.at(-1) ?? '') ? (rest.pop() as string) : '*-*-*'
  const nothing = rest.length === parts.length
  if (rest.length > 1 || (nothing && rest.length === 0)) return []
  return [rest[0] ?? 'Mon..Sun', date, time]
}

function parseWeekdays(text: string): number[] | null {
  const items = text.toLowerCase().replace(/,+$/, '').split(',')
  const ranges = items.map((item) => {
    const [, from = '', to = from] = /^([a-z]+)(?:(?:\.\.|-)([a-z]+))?$/.exec(item) ?? []
    const [start, end] = [from, to].map((name) =>
      weekdayNames.findIndex((day) => day === name || day.slice(0, 3) === name),
    )
    return start === undefined || end === undefined || start < 0 || end < start ? null : range(start, end, 1)
  })
  return union(ranges)?.map((fromMonday) => (fromMonday + 1) % 7) ?? null
}

function parseNumbers(text: string, field: CalendarField): number[] | null {
  if (text === '*') return range(field.min, field.max, 1)
  const ranges = text.split(',').map((item) => {
    const read = readItem(item, field)
    if (read === null) return null
    const { from, to, step } = read
    return range(from, to ?? (step === null ? from : field.max), step ?? 1)
  })
  return union(ranges)
}

/**
 * `~1` is the last day, `~7/2` every second day from the seventh before the end on, `~1..7/2` every second day
 * backwards from the last.
 */
function parseReversed(text: string): number[] | null {
  if (text === '*') return range(fields.days.min, fields.days.max, 1)
  const ranges = text.split(',').map((item) => {
    const read = readItem(item, { min: 1, max: lastReversedDay })
    if (read === null) return null
    const { from, to, step } = read
    if (to !== null) return range(from, to, step ?? 1).map((day) => -day)
    return range(-from, step === null ? -from : -1, step ?? 1)
  })
  return union(ranges)
}

type Item = { from: number; to: number | null; step: number | null }

/** `5`, `5..9`, `5/2` or `5..9/2`; null for anything else or if it is out of range. */
function readItem(item: string, { min, max, read = (value) => value }: CalendarField): Item | null {
  const [, start, end, every] = /^(\d+)(?:\.\.(\d+))?(?:\/(\d+))?$/.exec(item) ?? []
  if (start === undefined || Number(every) === 0) return null
  const from = read(Number(start))
  const to = end === undefined ? null : read(Number(end))
  if (from < min || from > max || (to !== null && (to < from || to > max))) return null
  return { from, to, step: every === undefined ? null : Number(every) }
}

/** Two digits mean 1970 to 2069. */
function fourDigits(year: number): number {
  if (year >= 100) return year
  return year < 70 ? year + 2000 : year + 1900
}

function range(from: number, to: number, step: number): number[] {
  const values: number[] = []
  for (let value = from; value <= to; value += step) values.push(value)
  return values
}

/** Sorted and without duplicates; null if a part is null. */
function union(ranges: readonly (readonly number[] | null)[]): number[] | null {
  if (ranges.includes(null)) return null
  return [...new Set((ranges as number[][]).flat())].sort((a, b) => a - b)
}
