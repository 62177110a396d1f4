// Hanging destinations of one tenant do not delay the alerts of another, however many there are.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { createReceiver, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'
import { listen } from './far-side.ts'
import { createWorld } from './world.ts'

const hangingChannels = 120
const outagesEach = 20
const otherAlerts = 16

test('the alerts of one tenant go at once while 120 destinations of another hang with 2,400 alerts', async (t) => {
  const world = await createWorld(t)
  const replica = await world.replica({ requestTimeoutMs: 300_000 })
  let held = 0
  const hanging = await listen(t, () => held++)
  const channels: string[] = []
  for (let n = 0; n < hangingChannels; n++) channels.push(await world.webhook(replica, { url: `${hanging}/${n}` }))
  const seed = `INSERT INTO deliveries (monitor_id, id, project_id, channel_id, flip_seq, event, status, next_attempt_at)
    SELECT gen_random_uuid(), gen_random_uuid(), $1, c, n, 'notice', 'pending', $3 FROM unnest($2::uuid[]) c, generate_series(1, $4::int) n`
  await sql(world.url, seed, [world.projectId, channels, new Date(world.clock.now - 60_000), outagesEach])
  await sql(world.url, `UPDATE deliveries SET notice = '{"severity": "info", "title": "t", "text": "t"}'`)

  const other = randomUUID()
  await sql(world.url, "INSERT INTO projects (id, name) VALUES ($1, 'other')", [other])
  const far = await createReceiver(t)
  const caller = { ...world.caller, projectId: other }
  const { id } = await replica.alerting.channels.create(caller, {
    kind: 'webhook',
    name: 'hook',
    settings: { url: far.url },
  })
  while (await replica.alerting.claim());
  await eventually('the hanging ones to hold all that they get', async () => {
    await replica.alerting.claim()
    return held >= 30
  })
  await sql(world.url, seed, [other, [id], new Date(world.clock.now), otherAlerts])
  await sql(
    world.url,
    `UPDATE deliveries SET notice = '{"severity": "info", "title": "t", "text": "t"}' WHERE notice IS NULL`,
  )
  await eventually('the other tenant to be told', async () => {
    await replica.alerting.claim()
    return far.received.length === otherAlerts
  })
  assert.ok(held < 64, 'none of the hanging requests has ended')
  t.after(() => replica.alerting.drain(0))
})
