// Hanging destinations of one tenant do not delay the alerts of another, however many there are.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { listen } from '../../fake-destination.ts'
import { createReceiver, eventually } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { createWorld } from '../world.ts'

const hangingChannels = 120
const outagesEach = 20
const otherAlerts = 16

test('alerts of one tenant are sent at once while 120 destinations of another hang with 2,400 alerts', async (t) => {
  const world = await createWorld(t)
  const replica = await world.replica({ requestTimeoutMs: 300_000 })
  let held = 0
  const hanging = await listen(t, () => held++)
  const channels: string[] = []
  for (let n = 0; n < hangingChannels; n++) channels.push(await world.webhook(replica, { url: `${hanging}/${n}` }))
  const seed = `INSERT INTO deliveries (subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, status, next_attempt_at)
    SELECT gen_random_uuid(), gen_random_uuid(), 'service', $1, c, n, 'notice', 'pending', $3 FROM unnest($2::uuid[]) c, generate_series(1, $4::int) n`
  await sql(world.url, seed, [world.projectId, channels, new Date(world.clock.now - 60_000), outagesEach])
  await sql(world.url, `UPDATE deliveries SET notice = '{"severity": "info", "title": "t", "text": "t"}'`)

  const other = randomUUID()
  await sql(world.url, "INSERT INTO projects (id, name) VALUES ($1, 'other')", [other])
  const far = await createReceiver(t)
  const caller = { ...world.caller, projectId: other }
  const { id } = await replica.channels.create(caller, {
    kind: 'webhook',
    name: 'hook',
    settings: { url: far.url },
  })
  while (await replica.notifications.claim());
  await eventually('the hanging ones to hold all that they get', async () => {
    await replica.notifications.claim()
    return held >= 30
  })
  await sql(world.url, seed, [other, [id], new Date(world.clock.now), otherAlerts])
  await sql(
    world.url,
    `UPDATE deliveries SET notice = '{"severity": "info", "title": "t", "text": "t"}' WHERE notice IS NULL`,
  )
  await eventually('the other tenant to be told', async () => {
    await replica.notifications.claim()
    return far.received.length === otherAlerts
  })
  assert.ok(held < 64, 'none of the hanging requests has ended')
  t.after(() => replica.notifications.drain(0))
})

test('a check with ten thousand changes and hundreds of channels delays no other tenant', async (t) => {
  const world = await createWorld(t)
  const replica = await world.replica()
  const channels: string[] = []
  for (let n = 0; n < 200; n++) channels.push(await world.webhook(replica, { url: `http://a.example/${n}` }))
  const flapping = await world.check(replica, channels, 'flapping')
  const flip = `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason)
    SELECT $1, n, $2, now(), CASE n % 2 WHEN 1 THEN 'up' ELSE 'down' END, CASE n % 2 WHEN 1 THEN 'down' ELSE 'up' END, 'fail'
    FROM generate_series(1, $3::int) n`
  await sql(world.url, flip, [flapping, world.projectId, 10_000])

  const other = randomUUID()
  await sql(world.url, "INSERT INTO projects (id, name) VALUES ($1, 'other')", [other])
  const settings = { url: 'http://b.example' }
  const caller = { ...world.caller, projectId: other }
  const { id: hook } = await replica.channels.create(caller, { kind: 'webhook', name: 'hook', settings })
  // The first and the last in the order in which the outbox reads checks.
  for (const check of ['00000000-0000-4000-8000-000000000001', 'ffffffff-ffff-4fff-bfff-ffffffffffff']) {
    const own = await world.check(replica, [], 'other')
    await sql(world.url, 'UPDATE checks SET id = $2, project_id = $3 WHERE id = $1', [own, check, other])
    await sql(world.url, 'INSERT INTO check_channels (check_id, channel_id) VALUES ($1, $2)', [check, hook])
    await sql(world.url, flip, [check, other, 1])
    const { made, more } = await replica.notifications.relay()
    const rows = await sql(world.url, 'SELECT FROM deliveries WHERE subject_id = $1', [check])
    assert.deepEqual([rows.length, more], [1, true], check)
    assert.ok(made <= 6000, `${made} in one step`)
  }
  const told = await sql<{ seq: number }>(
    world.url,
    'SELECT DISTINCT flip_seq AS seq FROM deliveries WHERE subject_id = $1 ORDER BY 1',
    [flapping],
  )
  assert.deepEqual(
    told.map(({ seq }) => seq),
    told.map((_, n) => n + 1),
  )
  assert.ok(told.length > 10)
})

test('a check with a large id gets its turn behind more checks than one step reads', async (t) => {
  const world = await createWorld(t)
  const replica = await world.replica()
  const flip = `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason)
    SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, $1, now(), 'up', 'down', 'fail' FROM generate_series(1, 3000) n`
  await sql(world.url, flip, [world.projectId])
  const channel = await world.webhook(replica, { url: 'http://a.example' })
  const last = await world.check(replica, [channel], 'last')
  await world.flips(last, ['down'])
  for (let step = 0; step < 4; step++) await replica.notifications.relay()
  assert.equal((await sql(world.url, 'SELECT FROM deliveries WHERE subject_id = $1', [last])).length, 1)
})
