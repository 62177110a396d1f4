// The format of instants on the wire. They always end in `+00:00`: older Pythons do not read a `Z`.

/** `2026-11-22T21:10:00+00:00`: Healthchecks' form for checks and flips. */
export function isoSeconds(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}+00:00`
}

/** `2026-11-22T21:10:00.123000+00:00`: Healthchecks' form for pings. */
export function isoMicroseconds(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 23)}000+00:00`
}

/** `2026-11-22T21:10:00.123+00:00`: Flatline's own documents. */
export function isoMillis(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 23)}+00:00`
}

const instantForm =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+ -])(\d\d)(?::?(\d\d))?)$/

/**
 * Epoch milliseconds of an ISO 8601 or RFC 3339 instant with a zone; fractions of a millisecond are cut off. Null for
 * anything else, including a day that does not exist. A blank before the offset is a `+` that was lost in a query
 * string.
 */
export function parseInstant(text: string): number | null {
  const [, ...parts] = instantForm.exec(text) ?? []
  const [year, month, day, hour, minute, second = 0] = parts.slice(0, 6).map((part) => Number(part ?? 0))
  const [fraction = '', sign = '+', offsetHours = '0', offsetMinutes = '0'] = parts.slice(6)
  if (year === undefined || month === undefined || day === undefined || hour === undefined || minute === undefined)
    return null
  // ISO 8601 writes midnight as 24:00, the end of a day, or as 00:00, the beginning of the next.
  const isEndOfDay = hour === 24 && minute === 0 && second === 0 && /^0*$/.test(fraction)
  if ((hour > 23 && !isEndOfDay) || minute > 59 || second > 59) return null
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return null
  // Date.UTC reads the years 0 to 99 as 1900 to 1999.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * (sign === '-' ? -1 : 1)
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, '0'))
  return date.getTime() + (((hour * 60 + minute - offset) * 60 + second) * 1000 + milliseconds)
}
