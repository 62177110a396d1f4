// Days as whole numbers since 1970-01-01, as if there were no time zones.

export const dayMs = 86_400_000

/** The position of a day in its month; `weekday` counts from Sunday, 0. */
export type DayOfMonth = { number: number; length: number; weekday: number }

/** The first day at or after `day` that matches; the search ends with `lastMonth` (months since 1970-01). */
export function findDay(
  day: number,
  lastMonth: number,
  matchesMonth: (year: number, month: number) => boolean,
  matchesDay: (day: DayOfMonth) => boolean,
): number | null {
  for (let month = monthOf(day); month <= lastMonth; month++) {
    const year = 1970 + Math.floor(month / 12)
    if (!matchesMonth(year, modulo(month, 12) + 1)) continue
    const first = Date.UTC(1970, month, 1) / dayMs
    const length = Date.UTC(1970, month + 1, 1) / dayMs - first
    for (let number = Math.max(1, day - first + 1); number <= length; number++) {
      if (matchesDay({ number, length, weekday: modulo(first + number + 3, 7) })) return first + number - 1
    }
  }
  return null
}

/** In months since 1970-01. */
export function monthOf(day: number): number {
  const date = new Date(day * dayMs)
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor
}
