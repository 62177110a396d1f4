// Many heartbeats in one request: a JSON array, or one JSON object per line. An array is checked as a whole before any
// of it counts; each line stands alone. Entries become objects one after the other, so that 16 MB of text never become
// 16 MB of objects at once.

import { columns } from '../../../core/columns.ts'
import { type SignalKind, signalKinds } from '../../../core/heartbeat.ts'
import { brokenRule } from '../../../core/storable.ts'
import { isUuid } from '../../../kit/identifier.ts'
import { parseInstant } from '../../../kit/instant.ts'

/** `check` is a uuid or a slug; `at` is null for now. */
type UploadEntry = {
  check: string
  kind: SignalKind
  at: number | null
  exitStatus: number | null
  rid: string | null
  body: string | null
  id: string | null
}

/** An entry, or why it is invalid. */
export type ParsedEntry = UploadEntry | { error: string }

/** The allowed distance from now, in milliseconds. */
const earliestMs = 7 * 86_400_000
const latestMs = 5 * 60_000
const shownMax = 100
const fields = ['check', 'kind', 'at', 'exit_status', 'rid', 'body', 'id']

/** The text of each entry, up to one more than `max`; the rest is not read. Null if it is an incomplete array. */
export function splitEntries(text: string, max = Number.POSITIVE_INFINITY): string[] | null {
  const begin = nextVisible(text, 0)
  if (text[begin] !== '[') return splitLines(text, begin, max)
  const parts = splitArray(text, begin, max)
  return parts === null || parts.length > max || parts.every(isJson) ? parts : null
}

const visible = /\S/g

/**
 * The place of the first character at or after `from` that is not blank; the end if there is none. A regular expression
 * is faster than a loop over the blanks.
 */
function nextVisible(text: string, from: number): number {
  visible.lastIndex = from
  return visible.exec(text)?.index ?? text.length
}

function splitLines(text: string, begin: number, max: number): string[] {
  const lines: string[] = []
  for (let at = begin; at < text.length && lines.length <= max; ) {
    const end = text.indexOf('\n', at)
    lines.push(text.slice(at, end === -1 ? text.length : end))
    at = end === -1 ? text.length : nextVisible(text, end)
  }
  return lines
}

/**
 * Outside of its strings a heartbeat has some thirty characters. An entry with many more, of digits or brackets, is not
 * a heartbeat.
 */
const outsideMax = 1000

/** Finds the elements of an array by its brackets, commas and quotes; what is between them is ignored. */
function splitArray(text: string, open: number, max: number): string[] | null {
  const parts: string[] = []
  let [depth, outside] = [0, 0]
  let begin = open + 1
  for (let i = open; i < text.length && parts.length <= max; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      i = endOfString(text, i)
    } else if (++outside > outsideMax) {
      return null
    } else if (code === comma && depth === 1) {
      parts.push(text.slice(begin, i))
      begin = i + 1
      outside = 0
    } else if (code === bracket || code === brace) {
      depth++
    } else if (code === bracketEnd || code === braceEnd) {
      depth--
      if (depth > 0) continue
      const last = text.slice(begin, i)
      if (last.trim() !== '') parts.push(last)
      else if (parts.length > 0) return null
      return code === bracketEnd && nextVisible(text, i + 1) === text.length ? parts : null
    }
  }
  return parts.length > max ? parts : null
}

const [quote, backslash, comma, bracket, bracketEnd, brace, braceEnd] = [...'"\\,[]{}'].map((c) => c.charCodeAt(0))

/** Where the string that begins at `start` ends; the end of the text if it does not end. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) return i
    if (code === backslash) i++
  }
  return text.length
}

function isTooComplex(text: string): boolean {
  for (let [i, outside] = [0, 0]; i < text.length && text.length > outsideMax; i++) {
    if (text.charCodeAt(i) === quote) i = endOfString(text, i)
    else if (++outside > outsideMax) return true
  }
  return false
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== undefined
  } catch {
    return false
  }
}

/** `now` in epoch milliseconds. An instant slightly in the future means a fast clock, and counts as now. */
export function parseEntry(text: string, now: number): ParsedEntry {
  if (isTooComplex(text)) return { error: `has more than ${outsideMax} characters outside of its texts` }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { error: 'is not JSON' }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { error: 'must be an object' }
  const given = value as Record<string, unknown>
  const unknown = Object.keys(given).find((field) => !fields.includes(field))
  if (unknown !== undefined) return { error: `${unknown.slice(0, shownMax)} is not a field of a heartbeat` }
  return problemOf(given, now) ?? entryOf(given, now)
}

function problemOf(given: Record<string, unknown>, now: number): { error: string } | null {
  const { check, kind, at, exit_status: exitStatus, rid, body, id } = given
  const wrong = (error: string) => ({ error })
  if (typeof check !== 'string' || check === '') return wrong('check must be the uuid or the slug of a check')
  const checkRule = brokenRule(columns.checks.slug, check)
  if (checkRule !== null) return wrong(`check ${checkRule}`)
  if (kind != null && !signalKinds.includes(kind as SignalKind))
    return wrong(`kind must be one of ${signalKinds.join(', ')}`)
  if (exitStatus != null && !(Number.isInteger(exitStatus) && Number(exitStatus) >= 0 && Number(exitStatus) <= 255))
    return wrong('exit_status must be a whole number from 0 to 255')
  if (rid != null && !(typeof rid === 'string' && isUuid(rid.toLowerCase()))) return wrong('rid must be a uuid')
  if (body != null && typeof body !== 'string') return wrong('body must be a string')
  if (id != null && (typeof id !== 'string' || id === '')) return wrong('id must be a string of 1 to 100 characters')
  const idRule = id == null ? null : brokenRule(columns.heartbeat_keys.key, id)
  if (idRule !== null) return wrong(`id ${idRule}`)
  if (at == null) return null
  const instant = typeof at === 'string' ? parseInstant(at) : null
  if (instant === null) return wrong('at must be an ISO 8601 instant with a time zone')
  if (instant < now - earliestMs) return wrong('at must not be more than 7 days ago')
  return instant > now + latestMs ? wrong('at must not be more than 5 minutes ahead') : null
}

function entryOf(given: Record<string, unknown>, now: number): UploadEntry {
  const { check, kind, at, exit_status: exitStatus, rid, body, id } = given as Record<string, string | null | undefined>
  const status = exitStatus == null ? null : Number(exitStatus)
  return {
    check: check as string,
    kind: (kind as SignalKind) ?? (status === null || status === 0 ? 'success' : 'fail'),
    at: at == null ? null : Math.min(parseInstant(at) as number, now),
    exitStatus: status,
    rid: rid?.toLowerCase() ?? null,
    body: body || null,
    id: id ?? null,
  }
}
