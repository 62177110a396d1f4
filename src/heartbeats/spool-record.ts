// How a heartbeat lies in a spool: a mark, the payload's length, its CRC-32, and the payload (length of the JSON, JSON, body), all
// numbers 32 bits, little-endian. A crash can tear the last record, and a disk can damage any: the mark lets a reader find the next
// whole one.

import { crc32 } from 'node:zlib'
import type { Received } from './service.ts'

const mark = 0x31_42_48_46 // "FHB1"
const headBytes = 12
const payloadMax = 64 * 2 ** 20

/** What was read; `damagedBytes` belonged to no whole record. A torn end is damage too: nobody was promised what it held. */
export type Decoded = { records: Received[]; damagedBytes: number }

export function encodeRecord({ body, ...fields }: Received): Buffer {
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

/** In the order of writing. */
export function decodeRecords(bytes: Buffer): Decoded {
  const records: Received[] = []
  let damagedBytes = 0
  let offset = 0
  while (offset < bytes.length) {
    const payload = payloadAt(bytes, offset)
    if (payload) {
      records.push(decodePayload(payload))
      offset += headBytes + payload.length
    } else {
      const next = nextMark(bytes, offset + 1)
      damagedBytes += next - offset
      offset = next
    }
  }
  return { records, damagedBytes }
}

function payloadAt(bytes: Buffer, offset: number): Buffer | null {
  if (offset + headBytes > bytes.length || bytes.readUInt32LE(offset) !== mark) return null
  const length = bytes.readUInt32LE(offset + 4)
  const end = offset + headBytes + length
  if (length < 4 || length > payloadMax || end > bytes.length) return null
  const payload = bytes.subarray(offset + headBytes, end)
  return crc32(payload) === bytes.readUInt32LE(offset + 8) ? payload : null
}

function decodePayload(payload: Buffer): Received {
  const jsonEnd = 4 + payload.readUInt32LE(0)
  const { hasBody, ...fields } = JSON.parse(payload.toString('utf8', 4, jsonEnd))
  // A copy: the record would otherwise keep the whole segment in memory. Before there were uploaders, nobody wrote that there is none.
  return { uploader: null, ...fields, body: hasBody ? Buffer.from(payload.subarray(jsonEnd)) : null }
}

function nextMark(bytes: Buffer, from: number): number {
  const pattern = Buffer.alloc(4)
  pattern.writeUInt32LE(mark)
  const found = bytes.indexOf(pattern, from)
  return found === -1 ? bytes.length : found
}
