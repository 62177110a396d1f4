// How a heartbeat lies in a spool and in the quarantine: the length of the JSON (32 bits, little-endian), the JSON, and the
// body. Records of other versions are read as far as possible.

import { isUuid } from '../../kit/identifier.ts'
import type { SpoolRecord } from '../../spool/records.ts'
import type { Received } from '../service.ts'

const lengthBytes = 4

/** When the service accepted it, whatever time its sender gives it. */
export const acceptedAtOf = ({ at, takenAt }: Received): number => takenAt ?? at

export function recordOf(received: Received): SpoolRecord {
  return { at: acceptedAtOf(received), payload: encodeHeartbeat(received) }
}

export function encodeHeartbeat({ body, from: _from, ...fields }: Received): Buffer {
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

/** The heartbeats of a segment, and copies of the payloads that are none. */
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
