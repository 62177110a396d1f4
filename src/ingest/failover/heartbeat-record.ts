// How a heartbeat lies in a spool: a mark, the payload's length, its CRC-32, and the payload (length of the JSON, JSON, body), all
// numbers 32 bits, little-endian. A crash can tear the last record, and a disk can damage any: the mark lets a reader find the next
// whole one.

import { crc32 } from 'node:zlib'
import { isUuid } from '../../kit/identifier.ts'
import type { Received } from '../service.ts'

const mark = 0x31_42_48_46 // "FHB1"
const headBytes = 12
const payloadMax = 64 * 2 ** 20
/** Of the largest heartbeat with its body. */
export const recordMaxBytes = headBytes + payloadMax

/**
 * What was read. `unreadable` are complete payloads that are not heartbeats; `damagedBytes` belonged to no complete
 * record. `isTorn` says that all of these are a record whose writing was cut short, which was never acknowledged.
 */
export type Decoded = { records: Received[]; unreadable: Buffer[]; damagedBytes: number; isTorn: boolean }

/** Until then nothing of it was acknowledged, however old it says that it is. */
export const takenAtOf = ({ at, takenAt }: Received): number => takenAt ?? at

export function encodeRecord({ body, from: _from, ...fields }: Received): Buffer {
  const json = Buffer.from(JSON.stringify({ ...fields, hasBody: body !== null }))
  const payloadBytes = 4 + json.length + (body?.length ?? 0)
  const record = Buffer.allocUnsafe(headBytes + payloadBytes)
  record.writeUInt32LE(mark, 0)
  record.writeUInt32LE(payloadBytes, 4)
  record.writeUInt32LE(json.length, headBytes)
  json.copy(record, headBytes + 4)
  body?.copy(record, headBytes + 4 + json.length)
  record.writeUInt32LE(crc32(record.subarray(headBytes)), 8)
  return record
}

/** The part of a record that `decodePayload` reads. */
export const payloadOf = (received: Received): Buffer => encodeRecord(received).subarray(headBytes)

/** In the order of writing. Never throws. */
export function decodeRecords(bytes: Buffer): Decoded {
  const records: Received[] = []
  const unreadable: Buffer[] = []
  let damagedBytes = 0
  let isTorn = false
  let offset = 0
  while (offset < bytes.length) {
    const payload = payloadAt(bytes, offset)
    if (payload) {
      const received = decodePayload(payload)
      if (received === null) unreadable.push(Buffer.from(payload))
      else records.push(received)
      offset += headBytes + payload.length
    } else {
      const next = nextMark(bytes, offset + 1)
      isTorn = damagedBytes === 0 && next === bytes.length && isUnfinished(bytes.subarray(offset))
      damagedBytes += next - offset
      offset = next
    }
  }
  return { records, unreadable, damagedBytes, isTorn }
}

/** The end of the record is missing, or the file was extended before its bytes were written. */
function isUnfinished(end: Buffer): boolean {
  if (end.every((byte) => byte === 0)) return true
  const head = Buffer.alloc(4)
  head.writeUInt32LE(mark)
  if (!head.subarray(0, end.length).equals(end.subarray(0, 4))) return false
  return end.length < headBytes || headBytes + end.readUInt32LE(4) > end.length
}

function payloadAt(bytes: Buffer, offset: number): Buffer | null {
  if (offset + headBytes > bytes.length || bytes.readUInt32LE(offset) !== mark) return null
  const length = bytes.readUInt32LE(offset + 4)
  const end = offset + headBytes + length
  if (length < 4 || length > payloadMax || end > bytes.length) return null
  const payload = bytes.subarray(offset + headBytes, end)
  return crc32(payload) === bytes.readUInt32LE(offset + 8) ? payload : null
}

/** Null for a payload that is not a heartbeat. */
export function decodePayload(payload: Buffer): Received | null {
  const jsonBytes = payload.length < 4 ? 0 : payload.readUInt32LE(0)
  const jsonEnd = 4 + jsonBytes
  if (jsonBytes === 0 || jsonEnd > payload.length) return null
  try {
    const fields: unknown = JSON.parse(payload.toString('utf8', 4, jsonEnd))
    return isObject(fields) ? receivedOf(fields, payload.subarray(jsonEnd)) : null
  } catch {
    return null
  }
}

/** Fields of newer versions are left out; fields that older versions did not write get their defaults. */
function receivedOf(given: Record<string, unknown>, body: Buffer): Received | null {
  const { id, at, kind, checkId, exitStatus = null, rid = null, slug = null, uploader = null } = given
  const { method = '', scheme = '', remoteAddr = '', ua = '', requestId = '', key = null } = given
  const { pingKeyHash = null, mail = null, created = false, hasBody = false, takenAt } = given
  const areTexts = [id, kind, checkId, method, scheme, remoteAddr, ua, requestId].every(isText)
  const mayBeTexts = [rid, key, pingKeyHash].every((value) => value === null || isText(value))
  const areParts =
    (slug === null || hasTexts(slug, ['projectId', 'slug', 'requestId', 'address'])) &&
    (uploader === null || hasTexts(uploader, ['projectId'])) &&
    (mail === null || hasTexts(mail, ['subject', 'text']))
  if (!areTexts || !mayBeTexts || !areParts || typeof at !== 'number' || !isUuid(id as string)) return null
  const received = {
    id,
    at: Math.round(at),
    kind,
    checkId,
    exitStatus,
    rid,
    slug,
    uploader,
    method,
    scheme,
    remoteAddr,
  }
  // The body is copied: a slice would keep the whole segment in memory.
  const rest = {
    ua,
    requestId,
    key,
    pingKeyHash,
    mail,
    created: created === true,
    ...(typeof takenAt === 'number' && { takenAt: Math.round(takenAt) }),
    body: hasBody ? Buffer.from(body) : null,
  }
  return { ...received, ...rest } as Received
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === 'string'
const hasTexts = (value: unknown, names: readonly string[]) =>
  isObject(value) && names.every((name) => isText(value[name]))

function nextMark(bytes: Buffer, from: number): number {
  const pattern = Buffer.alloc(4)
  pattern.writeUInt32LE(mark)
  const found = bytes.indexOf(pattern, from)
  return found === -1 ? bytes.length : found
}
