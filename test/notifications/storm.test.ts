import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { webhook } from '../../src/channels/transports/webhook.ts'
import { DeliveryError, type Transport } from '../../src/channels/wire/transport.ts'
import { ensurePartitions } from '../../src/ingest/history/partitions.ts'
import type { CheckMessage } from '../../src/messages/message.ts'
import { markGrouped } from '../../src/notifications/outbox/outbox.ts'
import { createReceiver } from '../helper.ts'
import { sql } from '../postgres.ts'
import { createWorld } from './world.ts'

const policy = { singly: 25, windowMs: 60_000, gatherMs: 10_000 }

/** A kind of channel that can report several changes in one message; `hear` gets each message, and may throw. */
function chatThat(hear: (message: CheckMessage) => void): Transport {
  return {
    kind: 'chat',
    settings: Type.Object({}),
    category: 'chat',
    async send(message) {
      if (message.event !== 'notice') hear(message)
      return 'sent'
    },
  }
}

test('in a storm the first alerts of each project are sent singly and the others are grouped', () => {
  const flips = Array.from({ length: 30 }, (_, n) => ({ projectId: n % 3 === 0 ? 'a' : 'b' }))
  const judged = markGrouped(flips, new Map([['a', 20]]), policy)
  const rest = (project: string) => judged.filter(({ projectId, grouped }) => projectId === project && grouped).length
  assert.deepEqual([rest('a'), rest('b')], [5, 0])
})

test('in a storm a chat gets 25 messages and one group, and a machine gets each alert by itself', async (t) => {
  const messages: CheckMessage[] = []
  let works = true
  const chat = chatThat((message) => {
    messages.push(message)
    if (!works) throw new DeliveryError('away', { retryable: true })
  })
  const world = await createWorld(t, { chat, webhook })
  const [replica, other] = [await world.replica(), await world.replica()]
  await ensurePartitions(replica.database, 1)
  const far = await createReceiver(t)
  const channels = [
    (await replica.channels.create(world.caller, { kind: 'chat', name: 'chat', settings: {} })).id,
    await world.webhook(replica, { url: far.url }),
  ]
  const checks = await Promise.all(Array.from({ length: 60 }, (_, n) => world.check(replica, channels, `job ${n}`)))
  world.clock.now = Math.ceil(world.clock.now / 10_000) * 10_000 + 1
  for (const id of checks) await world.flips(id, ['down'])
  const turns = async () => {
    for (let n = 0; n < 20; n++) await Promise.all([replica.turn(), other.turn()])
  }
  await turns()
  assert.deepEqual([messages.length, far.received.length], [25, 60])
  works = false
  world.clock.now += 10_000
  await turns()
  assert.equal(messages.length, 26)
  works = true
  world.clock.now += 10_000
  await turns()
  assert.equal(messages.length, 27)
  const [first, second] = messages.slice(25) as [CheckMessage, CheckMessage]
  assert.equal(first.delivery.id, second.delivery.id)
  assert.deepEqual([first.others?.length, second.others?.length], [34, 34])
  const names = [
    ...messages.slice(0, 25).map(({ check }) => check.name),
    ...[second, ...(second.others ?? [])].map(({ check }) => check.name),
  ]
  assert.equal(new Set(names).size, 60, 'every alert was sent once')
  const rows = await sql<{ status: string; n: number }>(
    world.url,
    'SELECT status, count(*)::int AS n FROM deliveries WHERE channel_id = $1 GROUP BY 1',
    [channels[0]],
  )
  assert.deepEqual(rows, [{ status: 'sent', n: 60 }], 'each has its delivery')
})

test('a storm lasts until fewer than 25 alerts come within a minute, as seen by its replica', async (t) => {
  const groups: number[] = []
  const chat = chatThat(({ others }) => groups.push(1 + (others?.length ?? 0)))
  const world = await createWorld(t, { chat })
  const replica = await world.replica()
  await ensurePartitions(replica.database, 1)
  const channel = await replica.channels.create(world.caller, { kind: 'chat', name: 'chat', settings: {} })
  const checks = await Promise.all(Array.from({ length: 30 }, (_, n) => world.check(replica, [channel.id], `job ${n}`)))
  world.clock.now = Math.ceil(world.clock.now / 10_000) * 10_000 + 1
  const turns = async () => {
    for (let n = 0; n < 10; n++) await replica.turn()
  }
  const outages = async (from: number, to: number) => {
    for (const id of checks.slice(from, to)) await world.flips(id, ['down'])
    await turns()
    return groups.splice(0).length
  }
  assert.equal(await outages(0, 25), 25)
  world.clock.now += 55_000
  assert.equal(await outages(25, 28), 0, 'it gathers')
  world.clock.now += 10_000
  assert.equal(await outages(28, 30), 3, 'one message of the three, and two by themselves')
})

test('a group of outages and recoveries begins with the most severe', async (t) => {
  const messages: CheckMessage[] = []
  const chat = chatThat((message) => messages.push(message))
  const world = await createWorld(t, { chat })
  const replica = await world.replica({ stormSingly: 3 })
  await ensurePartitions(replica.database, 1)
  const { id } = await replica.channels.create(world.caller, { kind: 'chat', name: 'chat', settings: {} })
  const names = ['works', 'works too', 'matters little', 'matters', 'works as well']
  const checks = await Promise.all(names.map((name) => world.check(replica, [id], name)))
  await sql(world.url, "UPDATE checks SET severity = 'info' WHERE id = $1", [checks[2]])
  const recovering = [0, 1, 4].map((n) => checks[n] as string)
  for (const check of recovering) await world.flips(check, ['down'])
  await replica.turn()
  assert.equal(messages.length, 3)
  for (const check of recovering) await world.flips(check, ['up'], 2)
  for (const n of [2, 3]) await world.flips(checks[n] as string, ['down'])
  for (let n = 0; n < 3; n++) {
    world.clock.now += 10_000
    await replica.turn()
  }
  const [group] = messages.slice(3) as [CheckMessage]
  assert.deepEqual([group.check.name, group.event, group.severity], ['matters', 'down', 'critical'])
  assert.equal(group.others?.[0]?.check.name, 'matters little')
  assert.equal(group.others?.length, 4)
})

test('a destination gets at most the messages per minute of its kind, and the others do not wait', async (t) => {
  const told: string[] = []
  const slow: Transport = {
    kind: 'slow',
    category: 'custom',
    settings: Type.Object({}),
    pace: { burst: 6, perMinute: 6 },
    async send() {
      told.push('slow')
      return 'sent'
    },
  }
  const world = await createWorld(t, { slow, webhook })
  const replica = await world.replica()
  const far = await createReceiver(t)
  const { id } = await replica.channels.create(world.caller, { kind: 'slow', name: 'slow', settings: {} })
  const quick = await world.webhook(replica, { url: far.url })
  for (let n = 0; n < 20; n++) await world.flips(await world.check(replica, [id, quick]), ['down'])
  const turns = async () => {
    for (let n = 0; n < 20; n++) await replica.turn()
  }
  await turns()
  assert.deepEqual([told.length, far.received.length], [6, 20])
  world.clock.now += 9000
  await turns()
  assert.equal(told.length, 6)
  for (const expected of [12, 18, 20]) {
    world.clock.now += 60_000
    await turns()
    assert.equal(told.length, expected)
  }
})
