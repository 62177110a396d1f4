// Reading the newest 100 heartbeats of one check among many days of many checks: node bench/history.ts [--rows 3000000] [--days 30]
// [--reads 500]. The target is 5 ms. Prints figures; it never passes or fails.

import type pg from 'pg'
import { withDatabase } from './postgres.ts'
import { apiKey, bench, createChecks, percentile, readNumbers, type Server } from './service.ts'

const { rows, days, reads } = readNumbers({ rows: 3_000_000, days: 30, reads: 500 })

await bench((scratch) =>
  withDatabase(scratch, async (service, client) => {
    const uuids = (await createChecks(service.url)).map((path) => path.split('/').at(-1) as string)
    const rare = uuids.at(-1) as string
    const began = performance.now()
    for (let day = 1; day <= days; day++) await fill(client, day, uuids, rare)
    // As autovacuum and the checkpointer leave a day behind.
    await client.query('VACUUM (ANALYZE) heartbeats')
    await client.query('CHECKPOINT')
    const took = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`${rows} heartbeats of ${uuids.length} checks in ${days} partitions, written in ${took} s`)
    // The first ones on a connection are planned, which costs more than reading.
    await read(service, uuids.slice(-51), 50)
    await report('a check that beats often', await read(service, uuids.slice(0, -1)))
    await report('a check that beats once a day', await read(service, [rare]))
  }),
)

/** A day's partition: all checks in turn, and at its end one of the check that is rare. */
async function fill(client: pg.Client, day: number, uuids: readonly string[], rare: string): Promise<void> {
  const each = Math.floor(rows / days)
  const { rows: found } = await client.query<{ day: string; table: string }>(
    "SELECT d::date::text AS day, 'heartbeats_' || to_char(d, 'YYYYMMDD') AS table FROM (SELECT now() AT TIME ZONE 'UTC' - $1 * interval '1 day' AS d) x",
    [day],
  )
  const { day: date, table } = found[0] as { day: string; table: string }
  await client.query(
    `CREATE TABLE IF NOT EXISTS ${table} PARTITION OF heartbeats FOR VALUES FROM ('${date} 00:00+00') TO (date '${date}' + 1)`,
  )
  await client.query(
    `INSERT INTO heartbeats (check_id, received_at, id, n, kind, scheme, method, remote_addr, ua, body_size)
     SELECT CASE WHEN i = $2::int THEN $4::uuid ELSE ($3::uuid[])[1 + i % $5::int] END, $1::timestamptz + i * interval '86399 s' / $2::int, gen_random_uuid(),
       ($6::int - $7::int) * ($2::int / $5::int) + i / $5::int, 'success', 'http', 'GET', '127.0.0.1', 'curl/8.5.0', 0
     FROM generate_series(1, $2::int) i`,
    [`${date} 00:00+00`, each, uuids, rare, uuids.length - 1, days, day],
  )
}

async function read({ url }: Server, uuids: readonly string[], count = reads): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    const answer = await fetch(`${url}/api/v3/checks/${uuids[i % uuids.length]}/pings/`, {
      headers: { 'x-api-key': apiKey },
    })
    const { pings } = (await answer.json()) as { pings: unknown[] }
    if (pings.length === 0) throw new Error('there was nothing to read')
    times.push(performance.now() - began)
  }
  return times
}

async function report(what: string, times: number[]): Promise<void> {
  const [p50, p99] = [0.5, 0.99].map((share) => percentile(times, share).toFixed(1))
  console.log(`${what}: p50 ${p50} ms, p99 ${p99} ms over HTTP (target: at most 5 ms)`)
}
