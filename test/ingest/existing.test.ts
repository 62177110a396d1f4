// Existing heartbeats are looked up by their key, never by scanning a day's partition, although the planner has no
// statistics of a partition that was just filled, and a replay looks up every batch.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { selectRecorded } from '../../src/ingest/store.ts'
import { build } from '../helper.ts'

const rows = 20_000
const asked = 500

test('existing heartbeats are looked up by the index, also in a partition without statistics', async (t) => {
  const { databaseUrl } = await build(t)
  const client = new pg.Client({ connectionString: databaseUrl })
  // The database goes first when the test ends, and ends the connection.
  client.on('error', () => {})
  await client.connect()
  await client.query(
    `INSERT INTO heartbeats (check_id, received_at, id, n, kind, scheme, method, remote_addr, ua, body_size)
     SELECT md5((i % 10)::text)::uuid, date_trunc('milliseconds', now()) - i * interval '1 millisecond', md5(i::text)::uuid, i, 'success',
       '', '', '', '', 0 FROM generate_series(1, $1::int) i`,
    [rows],
  )
  const { rows: found } = await client.query<{ checkId: string; at: number; id: string }>(
    'SELECT check_id AS "checkId", extract(epoch FROM received_at)::float8 * 1000 AS at, id FROM heartbeats LIMIT $1',
    [asked],
  )
  let text = ''
  let values: unknown[] = []
  const ids = await selectRecorded(
    {
      async query(statement, given = []) {
        text = statement.text
        values = [...given]
        return (await client.query(text, values)).rows
      },
    },
    Map.groupBy(found, ({ checkId }) => checkId) as never,
  )
  assert.deepEqual([...ids].sort(), found.map(({ id }) => id).sort())
  for (const mode of ['force_custom_plan', 'force_generic_plan']) {
    await client.query(`SET plan_cache_mode = ${mode}`)
    const { rows: plan } = await client.query({ text: `EXPLAIN ${text}`, values })
    const steps = plan.map((row) => row['QUERY PLAN'] as string).join('\n')
    assert.match(steps, /Index Only Scan using heartbeats_\d+_pkey/)
    assert.doesNotMatch(steps, /Seq Scan/, mode)
  }
})
