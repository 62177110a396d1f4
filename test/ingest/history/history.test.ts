// The cost of reading the newest heartbeats of a check depends on those that are listed, not on all that are stored.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { selectNewest } from '../../../src/ingest/history/history-store.ts'
import { createDatabase, sql } from '../../postgres.ts'

const check = '00000000-0000-4000-8000-000000000001'
const other = '00000000-0000-4000-8000-000000000002'
const days = 30

const dayOf = (daysAgo: number) => new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10)

/** A check with `each` heartbeats a day, and another check with twenty times as many. */
async function createHistory(url: string, each: number): Promise<void> {
  const project = '00000000-0000-4000-8000-000000000003'
  await sql(url, "INSERT INTO projects (id, name) VALUES ($1, 'p')", [project])
  for (let daysAgo = days; daysAgo >= 1; daysAgo--) {
    const day = dayOf(daysAgo)
    await sql(
      url,
      `CREATE TABLE IF NOT EXISTS heartbeats_${day.replaceAll('-', '')} PARTITION OF heartbeats
         FOR VALUES FROM ('${day} 00:00+00') TO (date '${day}' + 1)`,
    )
    await sql(
      url,
      `INSERT INTO heartbeats (check_id, received_at, id, n, kind, scheme, method, remote_addr, ua, body_size)
       SELECT CASE WHEN i % 21 = 0 THEN $2::uuid ELSE $3::uuid END, $1::timestamptz + i * interval '1 second', gen_random_uuid(),
         ($4::int - $5::int) * $6::int + i / 21, 'success', 'http', 'GET', '127.0.0.1', 'curl', 0
       FROM generate_series(1, $6::int * 21) i`,
      [`${day} 00:00+00`, check, other, days, daysAgo, each],
    )
  }
  await sql(url, 'ANALYZE heartbeats')
}

type Plan = { 'Node Type': string; 'Actual Loops': number; 'Relation Name'?: string; Plans?: Plan[] } & Record<
  string,
  unknown
>

async function planOf(url: string, limit: number) {
  const asked: { text: string; values: readonly unknown[] }[] = []
  const on = {
    async query<Row>({ text }: { text: string }, values: readonly unknown[] = []): Promise<Row[]> {
      asked.push({ text, values })
      return sql(url, text, [...values]) as Promise<Row[]>
    },
  }
  const rows = await selectNewest(on, check, limit)
  assert.equal(asked.length, 1, 'asked once')
  const [{ text, values }] = asked as [(typeof asked)[number]]
  const [explained] = await sql<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    url,
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
    [...values],
  )
  const all = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(all)]
  const root = explained?.['QUERY PLAN'][0].Plan as Plan
  const scans = all(root).filter((plan) => plan['Relation Name']?.startsWith('heartbeats'))
  return { rows, scans, pages: Number(root['Shared Hit Blocks']) + Number(root['Shared Read Blocks']) }
}

test('the newest 100 heartbeats of a check are read by an index, only from their partitions', async (t) => {
  const url = await createDatabase(t)
  await createHistory(url, 150)
  const { rows, scans, pages } = await planOf(url, 100)
  assert.equal(rows.length, 100)
  assert.equal(Number(rows[0]?.n), days * 150)
  assert.ok(scans.length >= days)
  for (const scan of scans) assert.match(scan['Node Type'], /^Index (Only )?Scan$/, JSON.stringify(scan))
  const touched = scans.filter((scan) => scan['Actual Loops'] > 0).map((scan) => scan['Relation Name'])
  // 200 rows of 150 a day, and the partitions of today and the days to come, which are empty.
  const newest = [1, 2].map((daysAgo) => `heartbeats_${dayOf(daysAgo).replaceAll('-', '')}`)
  assert.deepEqual(touched.filter((name) => newest.includes(String(name))).length, 2)
  assert.ok(!touched.includes(`heartbeats_${dayOf(4).replaceAll('-', '')}`), touched.join())
  t.diagnostic(`${pages} pages`)
  assert.ok(pages < 500, `${pages} pages`)
})

test('the start of a run is found before the listed heartbeats, also with many in between', async (t) => {
  const url = await createDatabase(t)
  await createHistory(url, 1)
  const run = crypto.randomUUID()
  const insert = (n: number, kind: string, rid: string | null, seconds: number) =>
    sql(
      url,
      `INSERT INTO heartbeats (check_id, received_at, id, n, kind, rid, scheme, method, remote_addr, ua, body_size)
       SELECT $1, $6::timestamptz + g * interval '1 millisecond' + $5::float8 * interval '1 second', gen_random_uuid(), $2::int + g, $3::text, $4::uuid,
         'http', 'GET', '127.0.0.1', 'curl', 0 FROM generate_series(0, $7::int - 1) g`,
      [check, n, kind, rid, seconds, `${dayOf(1)} 12:00+00`, kind === 'log' ? 500 : 1],
    )
  await insert(1000, 'start', run, 0)
  await insert(1001, 'log', null, 1)
  await insert(2000, 'success', run, 60)
  const on = { query: (({ text }: { text: string }, values: unknown[]) => sql(url, text, values)) as never }
  const rows = await selectNewest(on, check, 10)
  assert.deepEqual([rows[0]?.kind, rows[0]?.durationMs], ['success', 60_000])
  assert.equal(rows[1]?.durationMs, null)
})
