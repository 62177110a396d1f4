// The rules of columns against PostgreSQL itself: a column accepts every value that its rule accepts, and a value that
// the rule refuses would have failed a batch or would have been changed silently.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import pg from 'pg'
import { renderColumns } from '../../scripts/write-columns.ts'
import { type Column, columns } from '../../src/core/columns.ts'
import { brokenRule, cleanText } from '../../src/core/storable.ts'
import { createDatabase, sql } from '../postgres.ts'

const all = Object.entries(columns as Record<string, Record<string, Column>>).flatMap(([table, its]) =>
  Object.entries(its).map(([name, column]) => ({ table, name, column })),
)

for (const [path, text] of Object.entries(renderColumns())) {
  test(`${path} matches prisma/schema.prisma; otherwise run node scripts/write-columns.ts`, () => {
    assert.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text)
  })
}

const texts = [
  '',
  'plain',
  'ä€😀',
  'a\0b',
  '\ud800',
  'x\udfff',
  '\ud800\ud800',
  'quote \' " \\ {,}',
  '\u0001\u007f\uffff',
]
const odd = [null, 0, 1.5, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 31 - 1, -(2 ** 31) - 1, 2 ** 53]
const uuids = ['6b1f3a52-54be-4909-a300-9a296a8c72e4', '6b1f3a52-54be-4909-a300', '{6b1f3a52}']

/** Hostile values for any column, and values that are just too long or just fit. */
function valuesFor({ max }: Column): unknown[] {
  const long = max === null ? [] : ['x', 'ä', '😀', '\0'].flatMap((one) => [one.repeat(max), one.repeat(max + 1)])
  return [...texts, ...odd, ...uuids, ...long, true, Buffer.from('a\0b'), { a: '\ud800' }, { a: 'b\0' }, { a: 'b' }]
}

/** As the stores hand it over. */
function parameterOf({ type }: Column, value: unknown): { cast: string; value: unknown } {
  if (type === 'instant') return { cast: 'to_timestamp($1::float8 / 1000)', value }
  if (type === 'json') return { cast: '$1::jsonb', value: value === null ? null : JSON.stringify(value) }
  const casts = { uuid: 'uuid', text: 'text', int4: 'int', int8: 'bigint', bytes: 'bytea', boolean: 'boolean' }
  return { cast: `$1::${casts[type]}`, value }
}

test('every column that a batch writes accepts exactly the values that its rule allows', async (t) => {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  for (const { table, name, column } of all) {
    const { rows } = await client.query<{ type: string }>(
      `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attname = '${name}'`,
    )
    await client.query(`CREATE TEMP TABLE one (v ${rows[0]?.type} ${column.isNullable ? '' : 'NOT NULL'})`)
    for (const given of valuesFor(column)) {
      if (brokenRule(column, given) !== null) continue
      const { cast, value } = parameterOf(column, given)
      await assert.doesNotReject(
        client.query(`INSERT INTO one VALUES (${cast})`, [value]),
        `${table}.${name} ${JSON.stringify(given)}`,
      )
      if (column.type !== 'text') continue
      const { rows: kept } = await client.query('SELECT v FROM one')
      assert.equal(kept[0].v, given, 'nothing is changed without a word')
      await client.query('TRUNCATE one')
    }
    await client.query('DROP TABLE one')
  }
  await client.end()
})

test('a value that a column cannot hold breaks a rule, and cleaned text breaks none', async (t) => {
  const url = await createDatabase(t)
  const broken = (column: Column, value: unknown) => assert.notEqual(brokenRule(column, value), null, String(value))
  for (const { table, name, column } of all) {
    if (!column.isNullable) broken(column, null)
    if (column.type !== 'text') continue
    for (const text of ['a\0b', '\ud800', ...(column.max === null ? [] : ['😀'.repeat(column.max + 1)])]) {
      broken(column, text)
      assert.equal(brokenRule(column, cleanText(column, text)), null, `${table}.${name}`)
    }
    if (column.max !== null) assert.equal(brokenRule(column, '😀'.repeat(column.max)), null)
    assert.equal(cleanText(column, 'fine'), 'fine')
  }
  const catalog = await sql<{ table: string; name: string }>(
    url,
    `SELECT c.relname AS "table", a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relname = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2`,
    [Object.keys(columns)],
  )
  const listed = all.map(({ table, name }) => `${table}.${name}`).sort()
  assert.deepEqual(listed, catalog.map(({ table, name }) => `${table}.${name}`).sort())
})
