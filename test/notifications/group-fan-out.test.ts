// Deliveries that follow from deliveries: those of a group, and the notices about a channel that was switched off.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { suite, test } from 'node:test'
import { listen } from '../fake-destination.ts'
import { createReceiver } from '../helper.ts'
import { sql } from '../postgres.ts'
import { createWorld } from './world.ts'

const paths = (received: readonly { url: string; body: string }[]) =>
  received.map(({ url, body }) => `${url} ${JSON.parse(body).event}`).sort()

suite('a group', () => {
  test('a group forwards to each of its channels, which have their own attempts', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    let broken = true
    const far = await createReceiver(t, ({ url }) => (url === '/b' && broken ? 500 : 200))
    const [a, b] = [
      await world.webhook(replica, { url: `${far.url}/a` }),
      await world.webhook(replica, { url: `${far.url}/b` }),
    ]
    const group = await world.channel(replica, 'group', { channels: [a, b] })
    await world.flips(await world.check(replica, [group]), ['down'])
    for (let turn = 0; turn < 3; turn++) await replica.turn()
    assert.deepEqual(paths(far.received), ['/a down', '/b down'])
    const states = async () => (await world.deliveries()).map(({ status }) => status).sort()
    assert.deepEqual(await states(), ['retrying', 'sent', 'sent'])

    broken = false
    world.clock.now += 60_000
    await replica.turn()
    assert.deepEqual(paths(far.received), ['/a down', '/b down', '/b down'])
    assert.deepEqual(await states(), ['sent', 'sent', 'sent'])
  })

  test('a group sends an alert once to a channel that the check also names, and keeps the order', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t)
    const a = await world.webhook(replica, { url: `${far.url}/a` })
    const group = await world.channel(replica, 'group', { channels: [a] })
    await world.flips(await world.check(replica, [a, group]), ['down', 'up'])
    for (let turn = 0; turn < 5; turn++) await replica.turn()
    assert.deepEqual(
      far.received.map(({ body }) => JSON.parse(body).event),
      ['up'],
    )
  })

  test('a group forwards a coalesced outage to channels that get only outages', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t)
    const all = await world.channel(replica, 'webhook', { url: `${far.url}/all` })
    const outages = await world.channel(replica, 'webhook', { url: `${far.url}/outages` })
    await replica.channels.update(world.caller, outages, { alerts: { events: ['down'] } })
    const group = await world.channel(replica, 'group', { channels: [all, outages] })
    await world.flips(await world.check(replica, [group]), ['down', 'up'])
    for (let turn = 0; turn < 5; turn++) await replica.turn()
    assert.deepEqual(paths(far.received), ['/all up', '/outages down'])
    const recovery = JSON.parse(far.received.find(({ url }) => url === '/all')?.body ?? '')
    assert.equal(recovery.outage.untold, true)
  })

  test('a group forwards operator notices', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t)
    const group = await world.channel(replica, 'group', { channels: [await world.webhook(replica, { url: far.url })] })
    const text = { severity: 'critical', title: 'Circuit breakers are open', text: 'webhook' } as const
    const notice = { about: randomUUID(), seq: 1, text, channelIds: [group] }
    await replica.database.transaction((tx) => replica.notifications.notify(tx, notice))
    for (let turn = 0; turn < 3; turn++) await replica.turn()
    assert.deepEqual(
      far.received.map(({ body }) => [JSON.parse(body).event, JSON.parse(body).notice.title]),
      [['notice', 'Circuit breakers are open']],
    )
  })

  test('a group without a working channel is dead and says so', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const a = await world.webhook(replica, { url: 'http://127.0.0.1:1' })
    const group = await world.channel(replica, 'group', { channels: [a] })
    await replica.channels.remove(world.caller, a)
    await world.flips(await world.check(replica, [group]), ['down'])
    await replica.turn()
    const [{ status, last_error } = {}] = await world.deliveries()
    assert.deepEqual([status, last_error], ['dead', 'none of its channels exists and is switched on'])
  })

  test('a test of a group tests all of its channels', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, ({ url }) => (url === '/b' ? 500 : 200))
    const members = [
      await world.webhook(replica, { url: `${far.url}/a` }),
      await world.webhook(replica, { url: `${far.url}/b` }),
    ]
    const group = await world.channel(replica, 'group', { channels: members })
    const result = await replica.channels.test(world.projectId, group, new AbortController().signal)
    assert.deepEqual(result, { delivered: false, error: '1 of 2 failed: hook: answered 500 Internal Server Error' })
    assert.deepEqual(paths(far.received), ['/a test', '/b test'])
    assert.deepEqual(await world.deliveries(), [])
  })

  test('a group has only channels of its project, and no groups', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const a = await world.webhook(replica, { url: 'http://a.example' })
    const group = await world.channel(replica, 'group', { channels: [a] })
    await assert.rejects(world.channel(replica, 'group', { channels: [a, group] }), /channels\.1 must not be a group/)
    const update = replica.channels.update(world.caller, group, { settings: { channels: [group] } })
    await assert.rejects(update, /channels\.0 must not be a group/)
  })
})

suite('a channel that is switched off', () => {
  test('a channel that is switched off causes one notice on each other channel of its project', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, ({ url }) => (url === '/gone' ? 410 : 200))
    const gone = await world.webhook(replica, { url: `${far.url}/gone` })
    for (const path of ['/a', '/b']) await world.webhook(replica, { url: far.url + path })
    const off = await world.webhook(replica, { url: `${far.url}/off` })
    await sql(world.url, 'UPDATE channels SET disabled_at = now() WHERE id = $1', [off])
    // Pages and calls are for outages.
    await world.channel(replica, 'pagerduty', { routing_key: 'x'.repeat(32), api_url: `${far.url}/pagerduty` })
    const checks = [await world.check(replica, [gone]), await world.check(replica, [gone])]
    for (const id of checks) await world.flips(id, ['down'])
    for (let turn = 0; turn < 3; turn++) await replica.turn()
    const notices = far.received.filter(({ body }) => JSON.parse(body).event === 'notice')
    assert.deepEqual(notices.map(({ url }) => url).sort(), ['/a', '/b'])
    const { notice, text } = JSON.parse(notices[0]?.body ?? '')
    assert.equal(notice.title, 'The channel hook is switched off')
    assert.equal(notice.severity, 'warning')
    assert.match(text, /any more: answered 410 Gone\. New settings/)

    const { deliveries } = await replica.notifications.deliveries.list(
      { projectId: world.projectId, readOnly: false },
      {},
      100,
    )
    const told = deliveries.filter(({ event }) => event === 'notice')
    assert.deepEqual(
      told.map(({ check, flip, status }) => [check, flip, status]),
      [
        [null, null, 'sent'],
        [null, null, 'sent'],
      ],
    )
  })

  test('a webhook of placeholders gets the notice only if it has a place for its text', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, ({ url }) => (url === '/gone' ? 410 : 200))
    const gone = await world.webhook(replica, { url: `${far.url}/gone` })
    const post = { method_down: 'POST', headers_down: { 'X-Status': '$STATUS' } }
    await world.webhook(replica, {
      url_down: `${far.url}/words`,
      ...post,
      body_down: '{"t":$NAME_JSON,"b":$BODY_JSON}',
    })
    await world.webhook(replica, { url_down: `${far.url}/address?$NAME&$CODE` })
    await world.webhook(replica, { url_down: `${far.url}/siren`, ...post, body_down: 'on' })
    await world.webhook(replica, { url_up: `${far.url}/up?$NAME` })
    await world.flips(await world.check(replica, [gone]), ['down'])
    for (let turn = 0; turn < 3; turn++) await replica.turn()
    const told = far.received.filter(({ url }) => url !== '/gone')
    const words = told.find(({ url }) => url === '/words')
    const { t: title, b: text } = JSON.parse(words?.body ?? '')
    assert.equal(title, 'The channel hook is switched off')
    assert.match(text, /any more: answered 410 Gone\. New settings/)
    assert.equal(words?.headers['x-status'], 'down')
    const address = told.find(({ url }) => url?.startsWith('/address'))?.url
    assert.match(address ?? '', /\?The%20channel%20hook%20is%20switched%20off&flatline-[0-9a-f]{40}-0$/)
    assert.equal(told.length, 2)
    const suppressed = (await world.deliveries()).filter(({ status }) => status === 'suppressed')
    assert.deepEqual(suppressed.map(({ last_error }) => last_error).sort(), [
      'a notice, and the channel has no $NAME, $BODY or $JSON for its text',
      'the channel has no url_down',
    ])
  })

  test('a channel causes another notice when it is switched off again', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, ({ url }) => (url === '/gone' ? 410 : 200))
    const gone = await world.webhook(replica, { url: `${far.url}/gone` })
    await world.webhook(replica, { url: `${far.url}/a` })
    const id = await world.check(replica, [gone])
    for (const first of [1, 2]) {
      world.clock.now += 2000
      await world.flips(id, ['down'], first)
      for (let turn = 0; turn < 3; turn++) await replica.turn()
      await replica.channels.update(world.caller, gone, { settings: { url: `${far.url}/gone` } })
    }
    assert.equal(far.received.filter(({ url }) => url === '/a').length, 2)
  })

  test('the notice opens an incident if no other channel gets it, and is counted if none can', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t, ({ url }) => (url === '/gone' ? 410 : 202))
    const gone = await world.webhook(replica, { url: `${far.url}/gone` })
    const pager = { routing_key: 'x'.repeat(32), api_url: `${far.url}/pagerduty` }
    const pagerduty = await world.channel(replica, 'pagerduty', pager)
    await world.flips(await world.check(replica, [gone]), ['down'])
    for (let turn = 0; turn < 2; turn++) await replica.turn()
    const [, paged] = far.received
    assert.match(paged?.body ?? '', /The channel hook is switched off/)
    assert.equal(await replica.channels.unreachableProjects(), 0)

    await replica.channels.remove(world.caller, pagerduty)
    assert.equal(await replica.channels.unreachableProjects(), 1)
    await replica.channels.update(world.caller, gone, { settings: { url: far.url } })
    assert.equal(await replica.channels.unreachableProjects(), 0)
  })

  test('refused credentials switch a channel off if they are refused for an hour', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const url = await listen(t, ({ url: path }, response) => {
      if (path?.startsWith('/proxy')) return void response.writeHead(401, { 'content-type': 'text/html' }).end('<html>')
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"error": "unauthorized"}')
    })
    const ntfy = await world.channel(replica, 'ntfy', { url, topic: 'a' })
    const behindProxy = await world.channel(replica, 'ntfy', { url: `${url}/proxy`, topic: 'a' })
    await world.flips(await world.check(replica, [ntfy, behindProxy]), ['down'])
    const stateOf = async (id: string) => (await replica.channels.get(world.projectId, id)).disabled
    const state = () => stateOf(ntfy)
    const until = world.clock.now + 3_600_000
    while (world.clock.now < until) {
      await replica.turn()
      assert.equal(await state(), null)
      world.clock.now += 300_000
    }
    await replica.turn()
    assert.equal(await state(), 'answered 401 Unauthorized: unauthorized')
    assert.equal(await stateOf(behindProxy), null, 'a proxy is not the vendor')
    const statuses = (await world.deliveries()).filter(({ event }) => event === 'down').map(({ status }) => status)
    assert.deepEqual(statuses.sort(), ['dead', 'retrying'])
  })
})

suite('a call', () => {
  test('a call gets only outages, unless its owner wants more', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const far = await createReceiver(t)
    const account = { account_sid: `AC${'0'.repeat(32)}`, auth_token: 'x', from: '+4915112345', api_url: far.url }
    const quiet = await world.channel(replica, 'call', { ...account, to: '+4915112345' })
    assert.deepEqual((await replica.channels.get(world.projectId, quiet)).alerts, { events: ['down'] })
    const all = await world.channel(replica, 'call', { ...account, to: '+4915112346' })
    await replica.channels.update(world.caller, all, { alerts: null })
    const id = await world.check(replica, [quiet, all])
    for (const [index, to] of ['down', 'up'].entries()) {
      await world.flips(id, [to], index + 1)
      for (let turn = 0; turn < 3; turn++) await replica.turn()
    }
    const called = far.received.map(({ body }) => new URLSearchParams(body).get('To'))
    assert.deepEqual(called.sort(), ['+4915112345', '+4915112346', '+4915112346'])
    const suppressed = (await world.deliveries()).filter(({ status }) => status === 'suppressed')
    assert.deepEqual(
      suppressed.map(({ last_error }) => last_error),
      ['the channel does not alert about recoveries'],
    )
  })
})
