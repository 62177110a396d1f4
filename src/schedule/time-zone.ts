// A time zone is a sequence of spans: stretches of time with one offset from UTC. An instant is epoch milliseconds; a
// wall time is what the local clock shows, written as if it were UTC epoch milliseconds, so wall = instant + offset.
// The clock can jump: a wall time may have no instant (spring) or two (autumn). The two questions that a schedule asks
// are unambiguous nevertheless: which is the latest wall time shown so far, and when does the clock first reach a wall
// time.
//
// Offsets come from Intl, which is slow (one or two microseconds per question). So the spans are found once per zone
// and block of about a year, by probing and bisection, and then cached: a cached look-up takes tens of nanoseconds.

import { memo } from '../kit/memo.ts'

/** Instants from `from` up to, not including, `until`, all `offset` milliseconds ahead of UTC. Neighbours may have the same offset. */
export type Span = { from: number; until: number; offset: number }

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const BLOCK_MS = 365 * DAY_MS
// The shortest stretch of an offset since 2000 was a week (summer time in Boa Vista in 2000).
const PROBE_MS = 6 * DAY_MS
// The tz database has some 600 names; a schedule's search looks 50 years ahead.
const ZONE_LIMIT = 640
const BLOCK_LIMIT = 128

/** The span that holds `instant`. Throws RangeError for a name that is not a time zone. */
export function spanAt(tz: string, instant: number): Span {
  const spans = blocksOf(tz)(Math.floor(instant / BLOCK_MS))
  return spans.findLast((span) => span.from <= instant) as Span
}

/**
 * The latest wall time that the clocks of `tz` have shown up to `instant`: while an hour is repeated, the end of its
 * first pass.
 */
export function latestWallTime(tz: string, instant: number): number {
  let span = spanAt(tz, instant)
  let latest = instant + span.offset
  while (span.from > instant - DAY_MS) {
    span = spanAt(tz, span.from - 1)
    latest = Math.max(latest, span.until - 1 + span.offset)
  }
  return latest
}

/**
 * The first instant at which the clocks of `tz` show `wall` or later: the first of two instants; for a skipped wall
 * time the end of the gap.
 */
export function firstInstant(tz: string, wall: number): number {
  // No offset exceeds +14 h, so a day earlier the clock cannot have reached `wall`.
  for (let span = spanAt(tz, wall - DAY_MS); ; span = spanAt(tz, span.until)) {
    const instant = Math.max(span.from, wall - span.offset)
    if (instant < span.until) return instant
  }
}

// Every part begins with a capital and none with four. Three-letter names must be in the tz database: PST, IST or BST
// mean several zones to people and only one to Intl, which also still accepts SystemV.
const ZONE_NAME =
  /^(?=.{1,36}$)(?!SystemV)(?!(?!UTC|UCT|GMT|EST|MST|HST|CET|EET|MET|WET|PRC|ROC|ROK)[A-Z]{3}$)(?![A-Z]{4})[A-Z][\w+-]*(?:\/(?![A-Z]{4})[A-Z][\w+-]*)*$/

/**
 * Whether `name` is a zone of the platform's tz database, in its own spelling. Legacy names (US/Eastern) are valid; a
 * caller that stores a zone replaces them first (legacy-zones.ts). Intl ignores case and returns the first name that a
 * zone ever had (Asia/Calcutta for Asia/Kolkata), so it confirms the spelling of most names, and ZONE_NAME checks the
 * rest.
 */
export function isTimeZone(name: string): boolean {
  if (!ZONE_NAME.test(name)) return false
  try {
    const known = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone
    return known === name || known.toLowerCase() !== name.toLowerCase()
  } catch {
    return false
  }
}

const blocksOf = memo(ZONE_LIMIT, (tz: string) => {
  const offsetAt = offsetReader(tz)
  return memo(BLOCK_LIMIT, (block: number) => findSpans(offsetAt, block * BLOCK_MS, (block + 1) * BLOCK_MS))
})

function findSpans(offsetAt: (instant: number) => number, from: number, until: number): Span[] {
  const spans = [{ from, until, offset: offsetAt(from) }]
  for (let probe = from; probe < until; probe += PROBE_MS) {
    const next = Math.min(probe + PROBE_MS, until - MINUTE_MS)
    const last = spans.at(-1) as Span
    const offset = offsetAt(next)
    if (offset === last.offset) continue
    last.until = firstMinute(probe, next, (instant) => offsetAt(instant) !== last.offset)
    spans.push({ from: last.until, until, offset })
  }
  return spans
}

/** The first whole minute in (`before`, `after`] at which `changed` holds, given that it holds at `after` and not at `before`. */
function firstMinute(before: number, after: number, changed: (instant: number) => boolean): number {
  let [low, high] = [before / MINUTE_MS, after / MINUTE_MS]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (changed(middle * MINUTE_MS)) high = middle
    else low = middle
  }
  return high * MINUTE_MS
}

function offsetReader(tz: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: tz, timeZoneName: 'longOffset' })
  return (instant) => {
    const [, sign, hours = 0, minutes = 0, seconds = 0] =
      /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(instant)) ?? []
    const length = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
    return sign === '-' ? -length : length
  }
}
