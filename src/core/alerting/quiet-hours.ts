// Times of the day in which a channel receives no alerts, by the clock of its time zone. Hours that end before they
// begin cross midnight; hours that end when they begin are the whole day.

import { currentZone } from '../../schedule/legacy-zones.ts'
import { firstInstant, spanAt } from '../../schedule/time-zone.ts'

/** `from` and `to` are `HH:MM`. */
export type QuietHours = { from: string; to: string; tz: string }

const minuteMs = 60_000
const dayMs = 86_400_000

/** When the quiet hours at `now` end; null if `now` is not in them. */
export function quietUntil({ from, to, tz: name }: QuietHours, now: number): number | null {
  const tz = currentZone(name)
  const wall = now + spanAt(tz, now).offset
  const midnight = Math.floor(wall / dayMs) * dayMs
  const time = wall - midnight
  const [begin, end] = [timeOf(from), timeOf(to)]
  const quiet = begin < end ? time >= begin && time < end : time >= begin || time < end
  if (!quiet) return null
  return Math.max(now + 1, firstInstant(tz, midnight + end + (time < end ? 0 : dayMs)))
}

function timeOf(text: string): number {
  const [hours, minutes] = text.split(':').map(Number) as [number, number]
  return (hours * 60 + minutes) * minuteMs
}
