// The ledger detects a lost, a duplicated and an altered heartbeat, and a gap in the numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'
import { startClient } from './client.ts'
import { compare } from './ledger.ts'

test('the ledger finds exactly the heartbeats that were lost, duplicated or altered', async (t) => {
  const { url, call, databaseUrl } = await build(t)
  const made = await Promise.all([0, 1].map(() => call('POST', '/api/v3/checks/', { timeout: 3600, grace: 3600 })))
  const checks = made.map((answer) => String(answer.json().uuid))
  const client = startClient({ targets: () => [{ url }], checks, singles: 4, uploaders: 1 })
  await eventually('two hundred answers', () => client.tally.acknowledged.size >= 200)
  const tally = await client.stop()
  assert.deepEqual([tally.strange, tally.refused, tally.unanswered], [[], 0, 0])
  assert.equal(tally.acknowledged.size, tally.sent.size)
  const nothing = { missing: [], doubled: [], altered: [], gaps: [] }
  assert.deepEqual(await compare(databaseUrl, [tally]), [nothing])

  const sent = [...tally.sent]
  const [lost = ''] = sent.find(([, { check, isUpload }]) => check === checks[0] && !isUpload) ?? []
  const [twice = ''] = sent.find(([, { check, isUpload }]) => check === checks[1] && !isUpload) ?? []
  const [changed = ''] = sent.find(([rid, { body }]) => body !== null && rid !== lost && rid !== twice) ?? []
  await sql(databaseUrl, 'DELETE FROM heartbeats WHERE rid = $1', [lost])
  await sql(
    databaseUrl,
    `INSERT INTO heartbeats (check_id, received_at, id, n, kind, rid, scheme, method, remote_addr, ua, body_size)
     SELECT check_id, received_at, gen_random_uuid(), n, kind, rid, scheme, method, remote_addr, ua, 0 FROM heartbeats WHERE rid = $1`,
    [twice],
  )
  await sql(
    databaseUrl,
    `UPDATE heartbeat_bodies b SET body = 'else' FROM heartbeats h WHERE h.rid = $1 AND (b.check_id, b.id) = (h.check_id, h.id)`,
    [changed],
  )
  const [verdict] = await compare(databaseUrl, [tally])
  assert.deepEqual([verdict?.missing, verdict?.doubled], [[lost], [twice]])
  assert.ok(verdict?.altered.includes(changed))
  assert.deepEqual(verdict?.gaps.sort(), [...checks].sort())
})
