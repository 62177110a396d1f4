// Steady heartbeats must not bloat the table of checks: an update that touches no index (HOT) leaves nothing for a
// vacuum to remove. HOT_PINGS=1000000 makes it a million.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPostgres } from '../faults/postgres.ts'
import { build, eventually, type Running } from '../helper.ts'
import { patience } from '../patience.ts'
import { sql } from '../postgres.ts'

const pings = Number(process.env.HOT_PINGS ?? 100_000)
/** Each with checks of its own: two heartbeats of one check in the same batch would be one update. */
const uploaders = 2
const checksEach = 500
const checkCount = uploaders * checksEach
/** When all checks of a page beat in one batch their new versions do not fit into it; those that do not move to another page, once. */
const settling = 20

type Wear = { updates: number; hot: number; indexBytes: number; tableBytes: number; dead: number }

async function wear(url: string): Promise<Wear> {
  const [row] = await sql<Wear>(
    url,
    `SELECT n_tup_upd::float8 AS updates, n_tup_hot_upd::float8 AS hot, n_dead_tup::float8 AS dead,
       pg_indexes_size(relid)::float8 AS "indexBytes", pg_relation_size(relid)::float8 AS "tableBytes"
     FROM pg_stat_user_tables WHERE relname = 'checks'`,
  )
  assert.ok(row)
  return row
}

/** Sends `times` heartbeats to each of the checks, many in each request, as entries without an id. */
async function beat({ call }: Running, checks: readonly string[], times: number): Promise<void> {
  const one = async (own: readonly string[]) => {
    const upload = JSON.stringify(own.map((check) => ({ check })))
    for (let n = 0; n < times; n++) {
      const { status, text } = await call('POST', '/api/v3/heartbeats/', upload)
      assert.deepEqual([status, text], [200, `{"accepted":${own.length},"duplicates":0,"rejected":[]}`])
    }
  }
  await Promise.all(
    Array.from({ length: uploaders }, (_, i) => one(checks.slice(i * checksEach, (i + 1) * checksEach))),
  )
}

test(`${pings.toLocaleString('en')} steady pings are HOT updates, and no index of checks grows`, {
  timeout: patience(600_000),
}, async (t) => {
  // A server of its own: an update finds room once no transaction needs the old row, and those of all databases count.
  const running = await build(t, { DATABASE_URL: (await createPostgres(t)).url })
  const { call, databaseUrl } = running
  const checks: string[] = []
  while (checks.length < checkCount) {
    const some = Array.from({ length: 50 }, () => call('POST', '/api/v3/checks/', { timeout: 86_400, grace: 3600 }))
    for (const answer of await Promise.all(some)) checks.push(String(answer.json().uuid))
  }
  await beat(running, checks, settling)
  const updated = async (count: number) => {
    // A connection reports its statistics after ten idle seconds, or when it ends.
    await sql(
      databaseUrl,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'",
    )
    return (await wear(databaseUrl)).updates >= count
  }
  await eventually('the first in the statistics', () => updated(settling * checkCount))
  const before = await wear(databaseUrl)

  const began = performance.now()
  await beat(running, checks, pings / checkCount)
  const seconds = (performance.now() - began) / 1000
  await eventually('all in the statistics', () => updated(before.updates + pings))
  const after = await wear(databaseUrl)

  const [stored] = await sql<{ n: string }>(databaseUrl, 'SELECT sum(n) AS n FROM checks')
  assert.equal(Number(stored?.n), pings + settling * checkCount)
  const updates = after.updates - before.updates
  const share = (after.hot - before.hot) / updates
  t.diagnostic(
    `${updates} updates, ${(share * 100).toFixed(3)} % of them HOT; indexes ${before.indexBytes} to ${after.indexBytes} bytes, ` +
      `table ${before.tableBytes} to ${after.tableBytes} bytes; ${Math.round(pings / seconds)} pings/s`,
  )
  assert.equal(updates, pings, 'one update for each ping')
  assert.ok(share >= 0.99, `${share}`)
  // The few that were not may split a page. If none were, each would put an entry into each index: many times what is there.
  assert.ok(
    after.indexBytes <= before.indexBytes * 1.05,
    `${before.indexBytes} to ${after.indexBytes} bytes of indexes`,
  )
})
