// The cost of a detector run depends on the checks that are due, not on all checks. The pages that the database reads
// are counted, because they do not depend on how busy the machine is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Checks } from '../../src/checks/service.ts'
import { selectDue } from '../../src/checks/store.ts'
import { openWatermark } from '../../src/core/watermark.ts'
import { createDetector } from '../../src/detector/service.ts'
import { build } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

const due = 50

/** Checks that are up; the first `due` of them have a deadline that has passed, the others one in an hour. */
async function createChecks(url: string, count: number): Promise<void> {
  const project = '00000000-0000-4000-8000-000000000001'
  await sql(url, "INSERT INTO projects (id, name) VALUES ($1, 'many')", [project])
  await sql(
    url,
    `INSERT INTO checks (id, project_id, name, slug, tags, "desc", badge_key, kind, timeout_s, grace_s, schedule, tz, methods, manual_resume,
       filter_subject, filter_body, filter_http_body, filter_default_fail, start_kw, success_kw, failure_kw, status, last_ping, deadline, look_at)
     SELECT gen_random_uuid(), $1, 'm', '', '', '', gen_random_uuid(), 'simple', 3600, 60, '', 'UTC', '', false,
       false, false, false, false, '', '', '', 'up', at - interval '3660 seconds', at, at
     FROM generate_series(1, $2::int) n, LATERAL (SELECT now() + CASE WHEN n <= $3::int THEN -1 ELSE 3600 END * interval '1 second' AS at) due`,
    [project, count, due],
  )
  await sql(url, 'VACUUM ANALYZE checks')
}

type Plan = { 'Node Type': string; 'Index Name'?: string; Plans?: Plan[] } & Record<string, unknown>

/** How the database answers the detector's question: the kinds of steps, the indexes, and how many pages it looked at. */
async function costOfLook(url: string): Promise<{ steps: string[]; indexes: string[]; pages: number }> {
  let text = ''
  await selectDue(
    {
      async query(statement) {
        text = statement.text
        return []
      },
    },
    0,
    0,
  )
  const [row] = await sql<{ 'QUERY PLAN': [{ Plan: Plan }] }>(url, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, [
    Date.now(),
    500,
  ])
  const root = row?.['QUERY PLAN'][0].Plan as Plan
  const all = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(all)]
  assert.equal(root['Actual Rows'], due)
  return {
    steps: all(root).map((plan) => plan['Node Type']),
    indexes: all(root).flatMap((plan) => plan['Index Name'] ?? []),
    pages: Number(root['Shared Hit Blocks']) + Number(root['Shared Read Blocks']),
  }
}

test('the detector finds due checks by an index, and ten times as many checks cost it no more', async (t) => {
  const costs: number[] = []
  for (const count of [2000, 20_000]) {
    const url = await createDatabase(t)
    await createChecks(url, count)
    const { steps, indexes, pages } = await costOfLook(url)
    assert.deepEqual(indexes, ['checks_look_at_idx'])
    assert.ok(!steps.includes('Seq Scan'), steps.join())
    costs.push(pages)
  }
  const [few = 0, many = 0] = costs
  t.diagnostic(`${due} due: ${few} pages of 2,000 checks, ${many} of 20,000`)
  assert.ok(many <= 2 * few, `${few} and ${many} pages`)
})

test('one run uses one query and one lock, however many checks are due, and reads no other check', async (t) => {
  const { app, databaseUrl } = await build(t, { FLATLINE__DETECTOR__INTERVAL_MS: '600000' })
  await createChecks(databaseUrl, 500)
  await app.blindTime.record()
  const asked: string[][] = []
  const checks: Pick<Checks, 'due' | 'change'> = {
    due: app.checks.due,
    change(ids, plan) {
      asked.push([...ids])
      return app.checks.change(ids, plan)
    },
  }
  const detect = createDetector({
    checks,
    clock: app.database.clock,
    windows: app.blindTime.windows,
    watermark: () => openWatermark,
    refreshWatermark: async () => undefined,
    isCurrent: () => true,
    oldestWaiting: () => null,
    batchMax: 500,
    observeLateness() {},
    log: { error() {} },
  })
  assert.deepEqual(await detect(), { evaluated: true, due, more: false })
  assert.deepEqual(
    asked.map((ids) => ids.length),
    [due],
  )
  assert.equal((await sql(databaseUrl, "SELECT 1 FROM checks WHERE status = 'down'")).length, due)
  await detect()
  assert.equal(asked.length, 1, 'what has gone down is not looked at again')
})
