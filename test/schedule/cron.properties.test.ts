import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Cron, nextCronMatch, parseCron } from '../../src/schedule/cron.ts'
import { spanAt } from '../../src/schedule/time-zone.ts'

const wallTime = (tz: string, instant: number) => instant + spanAt(tz, instant).offset

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

function field(min: number, max: number, ...special: string[]): fc.Arbitrary<string> {
  const value = fc.integer({ min, max })
  const step = fc.integer({ min: 1, max: max + 2 })
  const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
  const item = fc.oneof(
    ...[value.map(String), range, step.map((n) => `*/${n}`), fc.constantFrom('*', ...special)],
    fc.tuple(fc.oneof(value.map(String), range), step).map(([start, n]) => `${start}/${n}`),
  )
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant('*') },
    item,
    fc.array(item, { minLength: 1, maxLength: 3 }).map(String),
  )
}

const cron = fc
  .tuple(
    field(0, 59),
    field(0, 23),
    field(1, 31, 'L', 'LW'),
    field(1, 12, 'feb', 'Jul-SEP'),
    field(0, 7, '5L', 'MON#2', 'sun'),
  )
  .map((fields) => parseCron(fields.join(' ')))
  .filter((cron) => cron !== null)
const zone = fc.constantFrom('UTC', 'Europe/Riga', 'America/New_York', 'Australia/Lord_Howe', 'America/Havana')
const instant = fc.integer({ min: Date.UTC(2001), max: Date.UTC(2040) })
// Half of the windows begin within a day of a change of the clocks, where the mistakes are.
const nearChange = fc
  .tuple(zone, instant, fc.integer({ min: -DAY_MS, max: DAY_MS }))
  .map(([tz, at, distance]) => [tz, spanAt(tz, at).until + distance] as const)
const place = fc.oneof(fc.tuple(zone, instant), nearChange)

/** Whether the clock showing `wall` matches, written the slow way, from the dialect's own words. */
function matches(cron: Cron, wall: number): boolean {
  const date = new Date(wall)
  const day = date.getUTCDate()
  const weekday = date.getUTCDay()
  const monthOf = (days: number) => new Date(wall + days * DAY_MS).getUTCMonth()
  const last = monthOf(1) !== date.getUTCMonth()
  const lastWorkday =
    weekday % 6 !== 0 && (last || (weekday === 5 && (monthOf(2) !== monthOf(0) || monthOf(3) !== monthOf(0))))
  const byDay = cron.days.has(day) || (last && cron.days.has(32)) || (lastWorkday && cron.days.has(33))
  const nth = Math.floor((day - 1) / 7) + 1
  const byWeekday = [weekday, weekday + 10 * nth, ...(monthOf(7) !== monthOf(0) ? [weekday + 60] : [])].some((value) =>
    cron.weekdays.has(value),
  )
  return (
    cron.months.has(date.getUTCMonth() + 1) &&
    cron.hours.includes(date.getUTCHours()) &&
    cron.minutes.includes(date.getUTCMinutes()) &&
    (cron.bothDays ? byDay && byWeekday : byDay || byWeekday)
  )
}

/** The first match in `minutes` real minutes, by looking at each: a time of day fires when the clock first reaches or jumps over it. */
function scan(cron: Cron, after: number, tz: string, minutes: number): number | null {
  const start = (Math.floor(after / MINUTE_MS) + 1) * MINUTE_MS
  let seen = -Infinity
  for (let at = start - DAY_MS; at < start; at += MINUTE_MS) seen = Math.max(seen, wallTime(tz, at))
  for (let at = start; at < start + minutes * MINUTE_MS; at += MINUTE_MS) {
    const wall = wallTime(tz, at)
    if (!cron.timesOfDay && matches(cron, wall)) return at
    for (let passed = seen + MINUTE_MS; cron.timesOfDay && passed <= wall; passed += MINUTE_MS)
      if (matches(cron, passed)) return at
    seen = Math.max(seen, wall)
  }
  return null
}

test('a scan of every minute finds the same next match', () => {
  fc.assert(
    fc.property(cron, place, (cron, [tz, after]) => {
      const next = nextCronMatch(cron, after, tz)
      const end = (Math.floor(after / MINUTE_MS) + 1 + 3 * 1440) * MINUTE_MS
      assert.equal(next !== null && next < end ? next : null, scan(cron, after, tz, 3 * 1440))
    }),
    { numRuns: 300 },
  )
})

test('the next match is strictly later, and the same from any instant before it', () => {
  fc.assert(
    fc.property(cron, place, fc.double({ min: 0, max: 1, noNaN: true }), (cron, [tz, after], share) => {
      const next = nextCronMatch(cron, after, tz)
      if (next === null) return
      assert.ok(next > after)
      assert.equal(nextCronMatch(cron, after + Math.floor((next - 1 - after) * share), tz), next)
    }),
  )
})

test('a later heartbeat never causes an earlier deadline', () => {
  fc.assert(
    fc.property(cron, place, fc.integer({ min: 0, max: 40 * DAY_MS }), (cron, [tz, earlier], distance) => {
      const [first, second] = [nextCronMatch(cron, earlier, tz), nextCronMatch(cron, earlier + distance, tz)]
      assert.ok((first ?? Infinity) <= (second ?? Infinity))
    }),
  )
})

test('away from a change of the clocks the next match has matching fields', () => {
  fc.assert(
    fc.property(cron, place, (cron, [tz, after]) => {
      const next = nextCronMatch(cron, after, tz)
      if (next === null || spanAt(tz, next - DAY_MS).offset !== spanAt(tz, next).offset) return
      assert.ok(matches(cron, wallTime(tz, next)))
    }),
  )
})
