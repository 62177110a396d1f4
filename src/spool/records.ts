// The format of a record in a segment: a mark, the length of the payload, a CRC-32 of the rest, the time of the record
// (epoch milliseconds, 64-bit float), and the payload. The other numbers have 32 bits; all are little-endian. A crash
// can tear the last record, and a disk can damage any: the mark lets a reader find the next complete one.

import { crc32 } from 'node:zlib'

/** `at` is when the record was accepted, in epoch milliseconds. Only the writer knows the meaning of the payload. */
export type SpoolRecord = { at: number; payload: Buffer }

/**
 * The result of reading. `damagedBytes` belonged to no complete record. `isTorn` says that all of these are one record
 * whose writing was interrupted, which was never acknowledged.
 */
export type Decoded = { records: SpoolRecord[]; damagedBytes: number; isTorn: boolean }

const mark = Buffer.from('FLS1', 'latin1')
const atOffset = 12
const headBytes = 20
const payloadMax = 64 * 2 ** 20
/** The size of the largest record that can be read. */
export const recordMaxBytes = headBytes + payloadMax

export function encodeRecord({ at, payload }: SpoolRecord): Buffer {
  const record = Buffer.allocUnsafe(headBytes + payload.length)
  mark.copy(record)
  record.writeUInt32LE(payload.length, 4)
  record.writeDoubleLE(at, atOffset)
  payload.copy(record, headBytes)
  record.writeUInt32LE(crc32(record.subarray(atOffset)), 8)
  return record
}

/** In the order of writing. The payloads are parts of `bytes`. Never throws. */
export function decodeRecords(bytes: Buffer): Decoded {
  const records: SpoolRecord[] = []
  let damagedBytes = 0
  let isTorn = false
  let offset = 0
  while (offset < bytes.length) {
    const record = recordAt(bytes, offset)
    if (record) {
      records.push(record)
      offset += headBytes + record.payload.length
    } else {
      const next = nextMark(bytes, offset + 1)
      isTorn = damagedBytes === 0 && next === bytes.length && isUnfinished(bytes.subarray(offset))
      damagedBytes += next - offset
      offset = next
    }
  }
  return { records, damagedBytes, isTorn }
}

/** Null if there are none. A time that is not a number comes from a faulty writer and is ignored. */
export function oldestOf(records: readonly { at: number }[]): number | null {
  const oldest = records.reduce((min, { at }) => (at < min ? at : min), Number.POSITIVE_INFINITY)
  return oldest === Number.POSITIVE_INFINITY ? null : oldest
}

/** The end of the record is missing, or the file was extended before its bytes were written. */
function isUnfinished(end: Buffer): boolean {
  if (end.every((byte) => byte === 0)) return true
  if (!mark.subarray(0, end.length).equals(end.subarray(0, mark.length))) return false
  return end.length < headBytes || headBytes + end.readUInt32LE(4) > end.length
}

function recordAt(bytes: Buffer, offset: number): SpoolRecord | null {
  const begin = offset + headBytes
  if (begin > bytes.length || !mark.equals(bytes.subarray(offset, offset + mark.length))) return null
  const length = bytes.readUInt32LE(offset + 4)
  const end = begin + length
  if (length > payloadMax || end > bytes.length) return null
  if (crc32(bytes.subarray(offset + atOffset, end)) !== bytes.readUInt32LE(offset + 8)) return null
  return { at: bytes.readDoubleLE(offset + atOffset), payload: bytes.subarray(begin, end) }
}

function nextMark(bytes: Buffer, from: number): number {
  const found = bytes.indexOf(mark, from)
  return found === -1 ? bytes.length : found
}
