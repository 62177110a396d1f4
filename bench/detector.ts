// Whether the cost of detection grows with the checks that are due or with all checks: node bench/detector.ts [--few
// 10000] [--many 1000000] [--due 1000] [--rounds 10]. In each round the deadlines of `due` checks pass at once, and
// the time until each is detected is measured. Prints figures; it never passes or fails.

import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { withDatabase } from './postgres.ts'
import { bench, percentile, readNumbers } from './service.ts'

const { few, many, due, rounds } = readNumbers({ few: 10_000, many: 1_000_000, due: 1000, rounds: 10 })
const pauseMs = 100

await bench((scratch) =>
  withDatabase(scratch, async (_service, client) => {
    await fill(client, few)
    await report(client, few)
    await fill(client, many - few)
    await report(client, many)
  }),
)

/** Checks that are up, with deadlines in a day. */
async function fill(client: pg.Client, count: number): Promise<void> {
  await client.query(
    `INSERT INTO checks (id, project_id, name, slug, tags, "desc", badge_key, kind, timeout_s, grace_s, schedule, tz, methods, manual_resume,
       filter_subject, filter_body, filter_http_body, filter_default_fail, start_kw, success_kw, failure_kw, status, last_ping, deadline, look_at)
     SELECT gen_random_uuid(), (SELECT id FROM projects LIMIT 1), 'm', '', '', '', gen_random_uuid(), 'simple', 86400, 60, '', 'UTC', '', false,
       false, false, false, false, '', '', '', 'up', now(), now() + interval '86460 s', now() + interval '86460 s' FROM generate_series(1, $1::int)`,
    [count],
  )
  await client.query('VACUUM (ANALYZE) checks')
  await client.query('CHECKPOINT')
}

async function report(client: pg.Client, count: number): Promise<void> {
  const lateMs: number[] = []
  const spanMs: number[] = []
  for (let round = 0; round < rounds; round++) {
    const late = await fallDue(client)
    lateMs.push(...late)
    spanMs.push(Math.max(...late) - Math.min(...late))
  }
  const [p50, p99] = [0.5, 0.99].map((share) => percentile(lateMs, share).toFixed(0))
  console.log(
    `${count} checks, ${due} due at once: down after the deadline p50 ${p50} ms, p99 ${p99} ms (target: 1 s); ` +
      `from the first to the last p50 ${percentile(spanMs, 0.5).toFixed(0)} ms`,
  )
}

/** How late each was noticed, by the database's clock. */
async function fallDue(client: pg.Client): Promise<number[]> {
  const { rows } = await client.query<{ id: string }>(
    `UPDATE checks m SET last_ping = d.at - interval '86460 s', deadline = d.at, look_at = d.at
     FROM (SELECT now() + interval '1 second' AS at) d
     WHERE id IN (SELECT id FROM checks WHERE status = 'up' ORDER BY id LIMIT $1) RETURNING m.id`,
    [due],
  )
  for (const giveUp = performance.now() + 60_000; performance.now() < giveUp; await sleep(pauseMs)) {
    const { rows: flips } = await client.query<{ late: number }>(
      `SELECT (extract(epoch FROM noticed_at - at) * 1000)::float8 AS late FROM flips WHERE check_id = ANY($1) AND "to" = 'down'`,
      [rows.map(({ id }) => id)],
    )
    if (flips.length === due) return flips.map(({ late }) => late)
  }
  throw new Error('they did not all go down within a minute')
}
