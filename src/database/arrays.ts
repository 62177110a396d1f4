// Arrays in PostgreSQL's own binary form (`array_recv` in src/backend/utils/adt/arrayfuncs.c): dimensions, whether
// there are nulls, the type of the elements, then the length and first index of each dimension, then each element after
// its length. pg sends a Buffer as binary. In text form each element is quoted here and parsed there, which takes a
// seventh of the time of a heartbeat on both sides.

const headBytes = 20
const lengthBytes = 4
const types = { uuid: { oid: 2950, bytes: 16 }, int4: { oid: 23, bytes: 4 }, float8: { oid: 701, bytes: 8 } }

function arrayOf<T>(
  { oid, bytes }: { oid: number; bytes: number },
  values: readonly T[],
  write: (to: Buffer, at: number, value: T) => void,
): Buffer {
  const array = Buffer.allocUnsafe(headBytes + values.length * (lengthBytes + bytes))
  array.writeInt32BE(1, 0)
  array.writeInt32BE(0, 4)
  array.writeInt32BE(oid, 8)
  array.writeInt32BE(values.length, 12)
  array.writeInt32BE(1, 16)
  let at = headBytes
  for (const value of values) {
    array.writeInt32BE(bytes, at)
    write(array, at + lengthBytes, value)
    at += lengthBytes + bytes
  }
  return array
}

/** A value for `$n::int[]`; each from -2^31 to 2^31 - 1, or a RangeError. */
export const intArray = (values: readonly number[]): Buffer =>
  arrayOf(types.int4, values, (to, at, value) => to.writeInt32BE(value, at))

/** A value for `$n::float8[]`. */
export const floatArray = (values: readonly number[]): Buffer =>
  arrayOf(types.float8, values, (to, at, value) => to.writeDoubleBE(value, at))

/** A value for `$n::uuid[]`, from uuids in their usual form of 36 characters; a TypeError for anything else. */
export const uuidArray = (values: readonly string[]): Buffer => arrayOf(types.uuid, values, writeUuid)

const noDigit = 0x100
const digits = new Uint16Array(256).fill(noDigit)
for (const digit of '0123456789abcdefABCDEF') digits[digit.charCodeAt(0)] = Number.parseInt(digit, 16)

const dash = 45
const isDashed = (uuid: string) => [8, 13, 18, 23].every((at) => uuid.charCodeAt(at) === dash)

function writeUuid(to: Buffer, at: number, uuid: string): void {
  let seen = uuid.length === 36 ? 0 : noDigit
  for (let i = 0, written = at; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) i++
    const byte = ((digits[uuid.charCodeAt(i)] ?? noDigit) << 4) | (digits[uuid.charCodeAt(i + 1)] ?? noDigit)
    to[written++] = byte
    seen |= byte
  }
  if (seen >= noDigit || !isDashed(uuid)) throw new TypeError('not a uuid in its usual form of 36 characters')
}
