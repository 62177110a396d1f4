// Names in PostgreSQL's write-ahead log: a segment is its timeline and its number; a history file tells where a
// timeline branched off; a label tells where a base backup began.
// https://www.postgresql.org/docs/current/continuous-archiving.html

const segment = /^[0-9A-F]{24}$/
const history = /^[0-9A-F]{8}\.history$/
/** The end of a timeline that was left, when a recovery ended within a segment. */
const partial = /^[0-9A-F]{24}\.partial$/
const label = /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/
const units: Record<string, number> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }

export const isWalFile = (name: string) =>
  segment.test(name) || history.test(name) || label.test(name) || partial.test(name)
export const isSegment = (name: string) => segment.test(name)
export const isHistory = (name: string) => history.test(name)

/** The name of the segment with this location, such as 0/3000028; the size is as SHOW prints it. */
export function nameOfSegment(timeline: number, location: string, size: string): string {
  const [, count, unit = ''] = /^(\d+)(B|kB|MB|GB)$/.exec(size) ?? []
  const bytes = Number(count) * (units[unit] ?? Number.NaN)
  const [high = Number.NaN, low = Number.NaN] = location.split('/').map((part) => Number.parseInt(part, 16))
  return [timeline, high, Math.floor(low / bytes)].map(hex).join('')
}

/** As PostgreSQL reads an instant among its settings, where it does not know the Z of the ISO format. */
export function targetTime(instant: Date): string {
  return instant.toISOString().replace('T', ' ').replace('Z', '+00')
}

/** Whether a segment, of whatever timeline, has an earlier part of the log than the other. */
export function isBefore(name: string, other: string): boolean {
  return name.slice(8, 24) < other.slice(8, 24)
}

function hex(number: number): string {
  if (!Number.isInteger(number)) throw new Error('the server answers with a location that cannot be read')
  return number.toString(16).toUpperCase().padStart(8, '0')
}
