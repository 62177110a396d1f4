import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Queryable } from '../../src/database/connection/client.ts'
import { ensurePartitions } from '../../src/ingest/history/partitions.ts'
import * as outboxStore from '../../src/notifications/outbox/outbox-store.ts'
import * as store from '../../src/notifications/queue/queue-store.ts'
import { listen } from '../fake-destination.ts'
import { createReceiver, eventually } from '../helper.ts'
import { patience, pause, within } from '../patience.ts'
import { sql } from '../postgres.ts'
import { createWorld } from './world.ts'

const told = (received: readonly { body: string }[]) => received.map(({ body }) => JSON.parse(body).event)

const states = async (world: Awaited<ReturnType<typeof createWorld>>) =>
  (await world.deliveries()).map(({ event, status }) => `${event} ${status}`)

/** The next transaction of each commits when that of the other one has nothing left to do. */
function commitTogether(...databases: { transaction: <T>(work: (tx: Queryable) => Promise<T>) => Promise<T> }[]): void {
  let waiting = databases.length
  let meet = () => {}
  const met = new Promise<void>((resolve) => {
    meet = resolve
  })
  for (const database of databases) {
    const { transaction } = database
    database.transaction = (work) => {
      database.transaction = transaction
      return transaction(async (tx) => {
        const result = await work(tx)
        if (--waiting === 0) meet()
        await met
        return result
      })
    }
  }
}

suite('from flips to deliveries', () => {
  test('every outage and recovery becomes one delivery per channel, suppressed if that is switched off', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const on = await world.webhook(replica, { url: 'http://a.example' })
    const off = await world.webhook(replica, { url: 'http://b.example' })
    await sql(world.url, 'UPDATE channels SET disabled_at = now() WHERE id = $1', [off])
    await world.webhook(replica, { url: 'http://not-attached.example' })
    const id = await world.check(replica, [on, off])
    await world.flips(id, ['down'])
    assert.deepEqual(await replica.notifications.relay(), { made: 1, more: false })
    await world.flips(id, ['paused', 'up', 'down'], 2)
    await sql(world.url, 'UPDATE flips SET processed_at = now() WHERE seq = 4')
    assert.deepEqual(await replica.notifications.relay(), { made: 1, more: false })
    assert.deepEqual(await replica.notifications.relay(), { made: 0, more: false })
    assert.deepEqual(
      (await world.deliveries()).map(({ event, status, last_error }) => `${event} ${status} ${last_error}`).sort(),
      [
        'down pending null',
        'down suppressed the channel is switched off',
        'up pending null',
        'up suppressed the channel is switched off',
      ],
    )
    assert.equal(await replica.notifications.queueLength(), 2)
  })

  test('two simultaneous replicas create and send each alert once, the outage first', async (t) => {
    const world = await createWorld(t)
    const replicas = [await world.replica(), await world.replica()] as const
    const far = await createReceiver(t)
    const channels = [
      await world.webhook(replicas[0], { url: `${far.url}/a` }),
      await world.webhook(replicas[0], { url: `${far.url}/b` }),
    ]
    const checks = await Promise.all(Array.from({ length: 30 }, () => world.check(replicas[0], channels)))

    let going = true
    const run = async (replica: (typeof replicas)[number]) => {
      while (going) {
        await replica.turn()
        await pause(1)
      }
    }
    const running = replicas.map(run)
    const finished = async () => (await world.deliveries()).filter(({ status }) => status === 'sent').length
    for (const [index, to] of ['down', 'up', 'down', 'up'].entries()) {
      await Promise.all(checks.map((id) => world.flips(id, [to], index + 1)))
      await eventually('all alerts to be sent', async () => (await finished()) >= 30 * 2 * (index + 1))
    }
    going = false
    await Promise.all(running)

    const statuses = await world.deliveries()
    assert.equal(statuses.length, 30 * 4 * 2)
    assert.deepEqual([...new Set(statuses.map(({ status }) => status))], ['sent'])
    assert.equal(far.received.length, statuses.length)
    assert.equal(new Set(far.received.map(({ headers }) => headers['idempotency-key'])).size, statuses.length)
    for (const id of checks)
      for (const path of ['/a', '/b']) {
        const own = far.received.filter(({ url, body }) => url === path && JSON.parse(body).check.uuid === id)
        assert.deepEqual(told(own), ['down', 'up', 'down', 'up'])
      }
  })

  test('a recovery is not visible before its outage, which another replica is still writing', async (t) => {
    const world = await createWorld(t)
    const [slow, quick] = [await world.replica(), await world.replica()]
    const id = await world.check(slow, [await world.webhook(slow, { url: 'http://a.example' })])
    await world.flips(id, ['down'])
    let relayed: Promise<unknown> = Promise.resolve()
    await slow.database.transaction(async (tx) => {
      const [flip] = await outboxStore.claimFlips(tx, [{ id, most: 10 }])
      await world.flips(id, ['up'], 2)
      relayed = quick.notifications.relay()
      await eventually('the other replica to wait', async () => {
        const waiting = await sql(
          world.url,
          "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        return waiting.length > 0
      })
      assert.deepEqual(await world.deliveries(), [])
      await outboxStore.insertDeliveries(tx, [{ ...(flip as outboxStore.ClaimedFlip), kind: 'down' }], world.clock.now)
    })
    await relayed
    assert.deepEqual(
      (await world.deliveries()).map(({ event }) => event),
      ['down', 'up'],
    )
  })
})

suite('sending', () => {
  test('an alert reports the change, with the status after it', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t)
    const id = await world.check(replica, [await world.webhook(replica, { url: far.url })])
    await world.flips(id, ['down'])
    await replica.turn()
    const { event, check, flip, delivery } = JSON.parse(far.received[0]?.body ?? '')
    assert.deepEqual([event, check.uuid, check.name, check.status], ['down', id, 'nightly', 'down'])
    const at = new Date(world.clock.now).toISOString().replace('Z', '+00:00')
    assert.deepEqual(flip, { at, from: 'up', to: 'down', reason: 'timeout' })
    assert.deepEqual(delivery, { id: far.received[0]?.headers['idempotency-key'], attempt: 1 })
    assert.deepEqual(replica.outcomes, ['webhook sent'])
    assert.equal(replica.lines.at(-1)?.event, 'delivery.sent')
    const [{ status, attempts, last_error, wait } = {}] = await world.deliveries()
    assert.deepEqual([status, attempts, last_error, wait], ['sent', 1, null, null])
  })

  test('an alert contains the last ping before the flip', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    await ensurePartitions(replica.database, 1)
    const far = await createReceiver(t)
    const settings = { url_down: far.url, method_down: 'POST', body_down: '$EXITSTATUS $BODY' }
    const id = await world.check(replica, [await world.webhook(replica, settings)])
    for (const [at, exit] of [
      [world.clock.now - 5, 1],
      [world.clock.now, 7],
      [world.clock.now + 5, 0],
    ] as const) {
      const values = [id, new Date(at), exit, `body ${exit}`]
      const columns = '(check_id, received_at, id, n, kind, exit_status, scheme, method, remote_addr, ua, body_size)'
      await sql(
        world.url,
        `WITH h AS (INSERT INTO heartbeats ${columns} VALUES ($1, $2, gen_random_uuid(), $3::int, 'fail', $3::int, '', '', '', '', 1)
           RETURNING *)
         INSERT INTO heartbeat_bodies SELECT check_id, received_at, id, convert_to($4, 'UTF8') FROM h`,
        values,
      )
    }
    await world.flips(id, ['down'])
    await replica.turn()
    assert.equal(far.received[0]?.body, '7 body 7')
  })

  test('a refused alert is retried at growing intervals and after Retry-After, with one key', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const keys = new Set<unknown>()
    let count = 0
    const url = await listen(t, (request, response) => {
      keys.add(request.headers['idempotency-key'])
      count++
      if (count < 4) response.writeHead(500)
      else if (count === 4) response.writeHead(503, { 'retry-after': '30' })
      response.end()
    })
    await world.flips(await world.check(replica, [await world.webhook(replica, { url })]), ['down'])
    for (const expected of [750, 1500, 3000, 30_000]) {
      await replica.turn()
      const [{ status, wait } = {}] = await world.deliveries()
      assert.deepEqual([status, wait], ['retrying', expected])
      world.clock.now += expected - 1
      await replica.turn()
      assert.equal((await world.deliveries())[0]?.wait, 1)
      world.clock.now += 1
    }
    await replica.turn()
    const [{ status, attempts, last_error } = {}] = await world.deliveries()
    assert.deepEqual([status, attempts, last_error], ['sent', 5, null])
    assert.deepEqual([count, keys.size], [5, 1])
    assert.deepEqual(replica.outcomes, [...Array(4).fill('webhook retrying'), 'webhook sent'])
  })

  test('a recovery is sent when its outage is dead, and reports it', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ retryForMs: 1 })
    const far = await createReceiver(t, ({ body }) => (JSON.parse(body).event === 'down' ? 500 : 200))
    const id = await world.check(replica, [await world.webhook(replica, { url: far.url })])
    await world.flips(id, ['down'])
    await replica.turn()
    await world.flips(id, ['up'], 2)
    await replica.turn()
    assert.deepEqual(await states(world), ['down dead', 'up sent'])
    assert.ok(replica.lines.some(({ event }) => event === 'delivery.dead'))
    const { outage } = JSON.parse(far.received.at(-1)?.body ?? '')
    assert.deepEqual([outage.reason, outage.untold], ['timeout', true])
  })

  test('an outage that is unsent when its recovery comes is coalesced with it', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    let works = false
    const far = await createReceiver(t, () => (works ? 200 : 500))
    const id = await world.check(replica, [await world.webhook(replica, { url: far.url })])
    await world.flips(id, ['down'])
    await replica.turn()
    assert.deepEqual(await states(world), ['down retrying'])
    await world.flips(id, ['up'], 2)
    works = true
    await replica.turn()
    assert.deepEqual(await states(world), ['down suppressed', 'up sent'])
    assert.equal((await world.deliveries())[0]?.last_error, 'coalesced with its recovery')
    assert.deepEqual(told(far.received), ['down', 'up'])
    assert.notEqual(far.received[0]?.headers['idempotency-key'], far.received[1]?.headers['idempotency-key'])
    assert.equal(JSON.parse(far.received[1]?.body ?? '').outage.untold, true)
    await world.flips(id, ['down'], 3)
    await replica.turn()
    await world.flips(id, ['up'], 4)
    await replica.turn()
    assert.equal(JSON.parse(far.received.at(-1)?.body ?? '').outage.untold, false, 'this one was sent by itself')
  })

  test('a recovery waits while its outage is being sent, and includes it if that fails', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const other = await world.replica()
    let answer: (() => void) | undefined
    const events: string[] = []
    const url = await listen(t, async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      events.push(JSON.parse(Buffer.concat(chunks).toString()).event)
      if (events.length > 1) return void response.end()
      answer = () => response.writeHead(500).end()
    })
    const id = await world.check(replica, [await world.webhook(replica, { url })])
    await world.flips(id, ['down'])
    await replica.notifications.relay()
    await replica.notifications.claim()
    await eventually('the first attempt', () => answer)
    await world.flips(id, ['up'], 2)
    await other.turn()
    assert.deepEqual(await states(world), ['down pending', 'up pending'], 'nothing overtakes what is under way')
    answer?.()
    await replica.notifications.drain(5000)
    await other.turn()
    assert.deepEqual(await states(world), ['down suppressed', 'up sent'])
    assert.deepEqual(events, ['down', 'up'])
  })

  test('an outage that fails while its recovery is created waits for no retry', async (t) => {
    const world = await createWorld(t)
    const [sender, maker] = [await world.replica(), await world.replica()]
    let answer: (() => void) | undefined
    const far = await listen(t, (request, response) => {
      request.resume()
      if (answer === undefined) answer = () => response.writeHead(500).end()
      else response.end()
    })
    const id = await world.check(sender, [await world.webhook(sender, { url: far })])
    await world.flips(id, ['down'])
    await sender.notifications.relay()
    await sender.notifications.claim()
    await eventually('the first attempt', () => answer)
    await world.flips(id, ['up'], 2)
    commitTogether(sender.database, maker.database)
    answer?.()
    await Promise.all([maker.notifications.relay(), sender.notifications.drain(10_000)])
    assert.deepEqual(await states(world), ['down suppressed', 'up pending'])
    await maker.turn()
    assert.deepEqual(
      (await world.deliveries()).map(({ event, status, attempts }) => `${event} ${status} ${attempts}`),
      ['down suppressed 1', 'up sent 1'],
    )
  })

  test('a reminder that is created while its outage ends does not block the recovery', async (t) => {
    const world = await createWorld(t)
    const [sender, maker] = [await world.replica(), await world.replica()]
    const events: string[] = []
    let answer: (() => void) | undefined
    const url = await listen(t, async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      events.push(JSON.parse(Buffer.concat(chunks).toString()).event)
      if (events.length > 1) return void response.end()
      answer = () => response.end()
    })
    const id = await world.check(sender, [await world.webhook(sender, { url })])
    // The state of the check that the writer of the reminder still sees.
    const down = "UPDATE checks SET status = 'down', flip_seq = 1, remind_every_s = 86400 WHERE id = $1"
    await sql(world.url, down, [id])
    await world.flips(id, ['down'])
    await sender.notifications.relay()
    await sender.notifications.claim()
    await eventually('the first attempt', () => answer)
    await world.flips(id, ['up'], 2)
    await maker.notifications.relay()
    answer?.()
    await sender.notifications.drain(10_000)
    assert.deepEqual((await states(world)).sort(), ['down sent', 'reminder:1 pending', 'up pending'])
    await sql(world.url, "UPDATE checks SET status = 'up', flip_seq = 2 WHERE id = $1", [id])
    await maker.turn()
    assert.deepEqual(events, ['down', 'up'])
    world.clock.now += 86_400_000
    await maker.turn()
    assert.deepEqual((await states(world)).sort(), ['down sent', 'reminder:1 suppressed', 'up sent'])
  })

  test('a coalesced outage is sent by itself on a channel that gets no recoveries', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    let works = false
    const far = await createReceiver(t, () => (works ? 200 : 500))
    const id = await world.check(replica, [await world.webhook(replica, { url_down: far.url })])
    await world.flips(id, ['down'])
    await replica.turn()
    await world.flips(id, ['up'], 2)
    works = true
    await replica.turn()
    await replica.turn()
    assert.deepEqual(await states(world), ['down sent', 'up suppressed'])
  })

  test('an unfinished claim expires, and a late result of its owner does not count', async (t) => {
    const world = await createWorld(t)
    const [lost, other] = [await world.replica(), await world.replica()]
    const far = await createReceiver(t)
    await world.flips(await world.check(lost, [await world.webhook(lost, { url: far.url })]), ['down'])
    await lost.notifications.relay()
    const now = () => world.clock.now
    const nothing = { channels: [], kinds: [], projects: [], pairs: [] }
    const seen = await store.selectDue(lost.database, now(), nothing, { ofChannel: 10, ofAll: 10 })
    const [claimed] = await store.claimDeliveries(lost.database, seen, now(), now() + 17_000)
    assert.equal(claimed?.attempts, 1)
    assert.deepEqual(await store.claimDeliveries(other.database, seen, now(), now() + 17_000), [])

    world.clock.now += 16_999
    await other.turn()
    assert.equal(far.received.length, 0)
    world.clock.now += 1
    await other.turn()
    const { delivery } = JSON.parse(far.received[0]?.body ?? '')
    assert.deepEqual(delivery, { id: claimed?.id, attempt: 2 })

    const late = { status: 'retrying', nextAttemptAt: now(), detail: 'late', disable: null, suppression: null } as const
    const attempt = { delivery: claimed as store.ClaimedDelivery, outcome: late, at: now() }
    assert.deepEqual(await store.writeOutcomes(lost.database, [attempt]), [false])
    assert.equal((await world.deliveries())[0]?.status, 'sent')
  })

  test('an answer 410 switches the channel off until it gets new settings', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, ({ url }) => (url === '/gone' ? 410 : 200))
    const channel = await world.webhook(replica, { url: `${far.url}/gone` })
    const other = await world.webhook(replica, { url: `${far.url}/other` })
    const id = await world.check(replica, [channel])
    await world.flips(id, ['down', 'paused', 'down'])
    await replica.turn()
    await replica.turn()
    assert.deepEqual(
      (await world.deliveries()).map(({ event, status, last_error }) => [event, status, last_error]),
      [
        ['down', 'dead', 'answered 410 Gone'],
        ['down', 'suppressed', 'the channel is switched off'],
        ['notice', 'sent', null],
      ],
    )
    const { event, notice } = JSON.parse(far.received.find(({ url }) => url === '/other')?.body ?? '')
    assert.deepEqual([event, notice.severity, notice.title], ['notice', 'warning', 'The channel hook is switched off'])
    assert.match(notice.text, /answered 410 Gone/)
    assert.notEqual(other, channel)
    const { disabled, disabled_at, last_error } = await replica.channels.get(world.projectId, channel)
    assert.deepEqual([disabled, last_error?.error], ['answered 410 Gone', 'answered 410 Gone'])
    assert.ok(disabled_at)
    assert.ok(replica.lines.some(({ event }) => event === 'channel.disabled'))
    const audit = await sql(world.url, "SELECT actor, target FROM audit WHERE action = 'channel.disable'")
    assert.deepEqual(audit, [{ actor: 'system', target: channel }])

    await replica.channels.update(world.caller, channel, { settings: { url: `${far.url}/new` } })
    await world.flips(id, ['down'], 4)
    await replica.turn()
    assert.equal(far.received.at(-1)?.url, '/new')
  })

  test('an answer to old settings does not switch off a channel with new settings', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    let change: () => Promise<unknown> = async () => undefined
    const url = await listen(t, (_request, response) => void change().then(() => response.writeHead(410).end()))
    const channel = await world.webhook(replica, { url })
    change = () => replica.channels.update(world.caller, channel, { settings: { url: `${url}/new` } })
    await world.flips(await world.check(replica, [channel]), ['down'])
    await replica.turn()
    assert.equal((await world.deliveries())[0]?.status, 'dead')
    assert.equal((await replica.channels.get(world.projectId, channel)).disabled, null)
  })

  test('a destination that hangs does not delay the others', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 32, requestTimeoutMs: patience(60_000) })
    let hanging = 0
    const hole = await listen(t, () => {
      hanging++
    })
    const far = await createReceiver(t)
    const dead = await world.webhook(replica, { url: hole })
    const live = await world.webhook(replica, { url: far.url })
    for (let index = 0; index < 60; index++) await world.flips(await world.check(replica, [dead]), ['down'])
    await replica.notifications.relay()
    world.clock.now += 10
    for (let index = 0; index < 20; index++) await world.flips(await world.check(replica, [live]), ['down'])
    await replica.notifications.relay()
    await eventually('all alerts of the others to be sent', async () => {
      await replica.notifications.claim()
      return far.received.length === 20
    })
    assert.equal(hanging, 2)
    await replica.notifications.drain(0)
  })

  test('deliveries in progress at the stop are finished, or released for another replica', async (t) => {
    const world = await createWorld(t)
    const [stopping, other] = [await world.replica(), await world.replica()]
    const slow = await listen(t, (_request, response) => void pause(100).then(() => response.end()))
    let hanging = true
    const hung = await listen(t, (_request, response) => {
      if (!hanging) response.end()
    })
    for (const url of [slow, hung])
      await world.flips(await world.check(stopping, [await world.webhook(stopping, { url })]), ['down'])
    await stopping.notifications.relay()
    await stopping.notifications.claim()
    await within('the drain', stopping.notifications.drain(patience(400)))
    const states = (await world.deliveries()).map(({ status, last_error, wait }) => [status, last_error, wait])
    assert.deepEqual(states.sort(), [
      ['retrying', 'interrupted by a shutdown', 0],
      ['sent', null, null],
    ])
    hanging = false
    await other.turn()
    assert.deepEqual([...new Set((await world.deliveries()).map(({ status }) => status))], ['sent'])
  })

  test('an alert that is unwanted, gone or unreadable is not sent, and says why', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t)
    const upOnly = await world.webhook(replica, { url_up: far.url })
    const deleted = await world.webhook(replica, { url: far.url })
    const broken = await world.webhook(replica, { url: far.url })
    const kept = await world.webhook(replica, { url: far.url })
    const checks = await Promise.all([upOnly, deleted, broken, kept].map((channel) => world.check(replica, [channel])))
    for (const id of checks) await world.flips(id, ['down'])
    await replica.notifications.relay()
    await replica.channels.remove(world.caller, deleted)
    await sql(world.url, 'UPDATE channels SET settings = $2 WHERE id = $1', [broken, Buffer.from('nonsense')])
    await sql(world.url, 'DELETE FROM checks WHERE id = $1', [checks[3]])
    await replica.turn()
    const states = (await world.deliveries()).map(({ status, last_error }) => `${status}: ${last_error}`)
    assert.deepEqual(states.sort(), [
      "retrying: the channel's settings cannot be decrypted",
      'suppressed: the channel has no url_down',
      'suppressed: the channel was deleted',
      'suppressed: the check was deleted',
    ])
    assert.equal(far.received.length, 0)
  })

  test('errors and log lines contain neither paths nor secrets', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, () => 500)
    for (const url of [`${far.url}/T0PSECRET`, 'http://127.0.0.1:1/T0PSECRET?key=T0PSECRET']) {
      const channel = await world.webhook(replica, { url, secret: 'T0PSECRET', headers: { 'x-key': 'T0PSECRET' } })
      await world.flips(await world.check(replica, [channel]), ['down'])
    }
    await replica.turn()
    assert.equal(replica.lines.length, 2)
    const seen = JSON.stringify([replica.lines, await world.deliveries(), await sql(world.url, 'SELECT * FROM audit')])
    assert.doesNotMatch(seen, /T0PSECRET/)
    const [{ settings } = {}] = await sql<{ settings: Buffer }>(world.url, 'SELECT settings FROM channels')
    assert.equal(settings?.includes('T0PSECRET'), false)
  })
})
