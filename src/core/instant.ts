// How instants look on the wire. They always end in `+00:00`: older Pythons do not read a `Z`.

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

/** Epoch milliseconds of an ISO 8601 instant with a zone; null for anything else. */
export function parseInstant(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)$/.test(text)) return null
  const epochMs = Date.parse(text)
  return Number.isNaN(epochMs) ? null : epochMs
}
