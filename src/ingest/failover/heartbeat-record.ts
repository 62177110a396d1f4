// The format of a heartbeat in a spool and in the quarantine: the length of the JSON (32 bits, little-endian), the
// JSON, and the body. A payload of another version is read if it contains what this version needs.

import { isUuid } from '../../kit/identifier.ts'
import type { SpoolRecord } from '../../spool/records.ts'
import type { Received } from '../signal.ts'

const lengthBytes = 4

export function recordOf(received: Received): SpoolRecord {
  return { at: received.acceptedAt, payload: encodeHeartbeat(received) }
}

export function encodeHeartbeat({ body, isAcknowledged: _, ...fields }: Received): Buffer {
  const json = Buffer.from(JSON.stringify({ ...fields, hasBody: body !== null }))
  const payload = Buffer.allocUnsafe(lengthBytes + json.length + (body?.length ?? 0))
  payload.writeUInt32LE(json.length)
  json.copy(payload, lengthBytes)
  body?.copy(payload, lengthBytes + json.length)
  return payload
}

/** Null for a payload that is not a heartbeat. */
export function decodeHeartbeat(payload: Buffer): Received | null {
  const jsonBytes = payload.length < lengthBytes ? 0 : payload.readUInt32LE()
  const jsonEnd = lengthBytes + jsonBytes
  if (jsonBytes === 0 || jsonEnd > payload.length) return null
  try {
    const fields: unknown = JSON.parse(payload.toString('utf8', lengthBytes, jsonEnd))
    return isObject(fields) ? receivedOf(fields, payload.subarray(jsonEnd)) : null
  } catch {
    return null
  }
}

/** The heartbeats of a segment, and copies of the payloads that are not heartbeats. */
export function decodeAll(records: readonly SpoolRecord[]): { heartbeats: Received[]; unreadable: Buffer[] } {
  const heartbeats: Received[] = []
  const unreadable: Buffer[] = []
  for (const { payload } of records) {
    const heartbeat = decodeHeartbeat(payload)
    if (heartbeat === null) unreadable.push(Buffer.from(payload))
    else heartbeats.push(heartbeat)
  }
  return { heartbeats, unreadable }
}

/** Fields of newer versions are left out. */
function receivedOf(given: Record<string, unknown>, body: Buffer): Received | null {
  const { id, at, acceptedAt, target, kind, exitStatus, rid, dedupeKey, mail, sender, requestId, hasBody } = given
  const { signature } = given
  const isWhole =
    [id, kind, requestId].every(isText) &&
    isUuid(id as string) &&
    [rid, dedupeKey].every((value) => value === null || isText(value)) &&
    [at, acceptedAt].every((value) => typeof value === 'number') &&
    isTarget(target) &&
    hasTexts(sender, ['address', 'remoteAddr', 'scheme', 'method', 'ua']) &&
    (mail === null || hasTexts(mail, ['subject', 'text']))
  if (!isWhole) return null
  return {
    ...{ id, target, kind, exitStatus, rid, dedupeKey, mail, sender, requestId },
    at: Math.round(at as number),
    acceptedAt: Math.round(acceptedAt as number),
    // A copy: a slice would keep the whole segment in memory.
    body: hasBody ? Buffer.from(body) : null,
    signature: hasTexts(signature, ['header', 'request']) ? signature : null,
    isAcknowledged: true,
  } as Received
}

function isTarget(target: unknown): boolean {
  if (!isObject(target)) return false
  if (target.by === 'id') return isText(target.checkId) && (target.within === null || isProjectRef(target.within))
  if (target.by === 'token') return isText(target.token)
  return target.by === 'slug' && isText(target.slug) && isProjectRef(target.project)
}

const isProjectRef = (ref: unknown): boolean =>
  hasTexts(ref, ['id']) || (hasTexts(ref, ['keyHash']) && Array.isArray((ref as { kinds?: unknown }).kinds))

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === 'string'
const hasTexts = (value: unknown, names: readonly string[]) =>
  isObject(value) && names.every((name) => isText(value[name]))
