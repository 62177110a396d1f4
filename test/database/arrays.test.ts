import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floatArray, intArray, uuidArray } from '../../src/database/arrays.ts'
import { createDatabase, sql } from '../postgres.ts'

test('PostgreSQL reads from a binary array the values that were put into it', async (t) => {
  const url = await createDatabase(t)
  const read = async (type: string, array: Buffer) => {
    const [row] = await sql<{ values: unknown[] }>(url, `SELECT $1::${type}[]::text[] AS values`, [array])
    return row?.values
  }
  const uuids = Array.from({ length: 300 }, () => crypto.randomUUID())
  assert.deepEqual(await read('uuid', uuidArray(uuids)), uuids)
  assert.deepEqual(await read('uuid', uuidArray(['ABCDEF01-2345-6789-abcd-ef0123456789'])), [
    'abcdef01-2345-6789-abcd-ef0123456789',
  ])
  assert.deepEqual(await read('int', intArray([0, -1, 2 ** 31 - 1, -(2 ** 31)])), [
    '0',
    '-1',
    '2147483647',
    '-2147483648',
  ])
  assert.deepEqual(await read('float8', floatArray([0, -0.5, 1_795_540_000_123.25])), ['0', '-0.5', '1795540000123.25'])
  assert.deepEqual(await read('uuid', uuidArray([])), [])
})

test('a value that is not a uuid is refused before it is sent', () => {
  const wrong = [
    '',
    'abcdef01-2345-6789-abcd-ef012345678',
    'abcdef01-2345-6789-abcd-ef0123456789a',
    'gbcdef01-2345-6789-abcd-ef0123456789',
    'abcdef012-345-6789-abcd-ef0123456789',
    'abcdef01 2345 6789 abcd ef0123456789',
    'abcdef01-2345-6789-abcd-ef01234567€9',
  ]
  for (const uuid of wrong) assert.throws(() => uuidArray([uuid]), TypeError, uuid)
  assert.throws(() => intArray([2 ** 31]), RangeError)
})
