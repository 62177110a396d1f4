import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { breakerName } from '../../src/channels/sending/destinations.ts'
import { listen } from '../fake-destination.ts'
import { adminToken, build, call, createReceiver, eventually } from '../helper.ts'
import { pause } from '../patience.ts'
import { sql } from '../postgres.ts'
import { createWorld } from './world.ts'

type World = Awaited<ReturnType<typeof createWorld>>
type Replica = Awaited<ReturnType<World['replica']>>

const states = async (world: World) => (await world.deliveries()).map(({ status, attempts }) => `${status} ${attempts}`)
const breakerOf = (replica: Replica, channel: string) =>
  replica.breakers.list().find(({ name }) => name === breakerName({ id: channel, kind: 'webhook' }))

/** Makes this many checks with one outage each, whose alerts go to this channel. */
async function outages(world: World, replica: Replica, channel: string, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await world.flips(await world.check(replica, [channel], `job ${n}`), ['down'])
}

/** Five outages at once, so that the destination's breaker opens. */
async function opened(world: World, replica: Replica, url: string): Promise<string> {
  const channel = await world.webhook(replica, { url })
  await outages(world, replica, channel, 5)
  await replica.turn()
  assert.equal(breakerOf(replica, channel)?.state, 'open')
  return channel
}

suite('the circuit breaker of a destination', () => {
  test('an open circuit breaker holds back its alerts without spending attempts, and no others', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 80 })
    const far = await createReceiver(t, ({ url }) => (url === '/broken' ? 500 : 200))
    const broken = await opened(world, replica, `${far.url}/broken`)
    assert.equal(far.received.length, 5)

    const healthy = await world.webhook(replica, { url: far.url })
    await outages(world, replica, broken, 3)
    await outages(world, replica, healthy, 3)
    world.clock.now += 59_999
    await replica.turn()
    assert.deepEqual(
      far.received.slice(5).map(({ url }) => url),
      ['/', '/', '/'],
    )
    assert.deepEqual((await states(world)).sort(), [
      ...Array(3).fill('pending 0'),
      ...Array(5).fill('retrying 1'),
      ...Array(3).fill('sent 1'),
    ])
    assert.equal(breakerOf(replica, broken)?.lastError, 'http_500')
  })

  test('a half-open breaker sends three alerts at a time, and one failure opens it again', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 160 })
    let underWay = 0
    let most = 0
    let seen = 0
    const url = await listen(t, (_request, response) => {
      seen++
      underWay++
      most = Math.max(most, underWay)
      // Waits until all requests are under way at the same time.
      Promise.all([pause(50), eventually('those that come together', () => seen % 5 === 0 || most === 3)]).then(() => {
        underWay--
        response.writeHead(500).end()
      })
    })
    const channel = await opened(world, replica, url)
    await outages(world, replica, channel, 20)
    most = 0
    seen = 0
    world.clock.now += 60_000
    await replica.turn()
    assert.deepEqual([most, seen], [3, 3])
    assert.equal(breakerOf(replica, channel)?.state, 'open')
    world.clock.now += 59_999
    await replica.turn()
    assert.equal(seen, 3)
  })

  test('a breaker closes after three successes, and every alert is sent once', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 160 })
    let works = false
    const far = await createReceiver(t, () => (works ? 200 : 500))
    const channel = await opened(world, replica, far.url)
    await outages(world, replica, channel, 20)
    works = true
    world.clock.now += 60_000
    await replica.turn()
    assert.equal(breakerOf(replica, channel)?.state, 'closed')
    await eventually('every alert to be sent', async () => {
      await replica.turn()
      return (await states(world)).every((state) => state.startsWith('sent'))
    })
    const told = far.received.slice(5).map(({ headers }) => headers['idempotency-key'])
    assert.deepEqual([told.length, new Set(told).size], [25, 25])
  })

  test('a timeout counts as a failure, and a refusal as an answer', async (t) => {
    for (const [what, url, reason] of [
      ['refused', 'http://127.0.0.1:1', 'refused'],
      ['hanging', await listen(t, () => undefined), 'timeout'],
      ['broken off', await listen(t, (request) => request.socket.destroy()), 'reset'],
      ['failing', await listen(t, (_request, response) => response.writeHead(503).end()), 'http_503'],
      ['rejecting', await listen(t, (_request, response) => response.writeHead(404).end()), null],
      ['limiting', await listen(t, (_request, response) => response.writeHead(429).end()), null],
      [
        'misleading',
        await listen(t, (_request, response) => response.writeHead(302, { location: 'ftp://a' }).end()),
        null,
      ],
    ] as const) {
      const world = await createWorld(t)
      const replica = await world.replica({ requestTimeoutMs: 200, concurrency: 80 })
      const channel = await world.webhook(replica, { url })
      await outages(world, replica, channel, 5)
      await replica.turn()
      const { state, lastError } = breakerOf(replica, channel) ?? {}
      assert.deepEqual([state, lastError], [reason === null ? 'closed' : 'open', reason], what)
    }
  })

  test('a success between failures resets their count', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    let count = 0
    const url = await listen(t, (_request, response) => {
      count++
      response.writeHead(count === 5 ? 200 : 500).end()
    })
    const channel = await world.webhook(replica, { url })
    for (let n = 0; n < 9; n++) {
      await outages(world, replica, channel, 1)
      await replica.turn()
    }
    const { state, failures } = breakerOf(replica, channel) ?? {}
    assert.deepEqual([count, state, failures], [9, 'closed', 4])
  })

  test('no alert waits for ever: one that is too old is dead, also while the breaker is open', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ retryForMs: 30_000, concurrency: 80 })
    const far = await createReceiver(t, () => 500)
    const channel = await opened(world, replica, far.url)
    await outages(world, replica, channel, 2)
    await replica.turn()
    world.clock.now += 30_000
    await replica.turn()
    assert.deepEqual((await states(world)).sort(), [...Array(2).fill('dead 0'), ...Array(5).fill('dead 1')])
    const reasons = new Set((await world.deliveries()).map(({ last_error }) => last_error))
    assert.deepEqual([...reasons].sort(), [
      'answered 500 Internal Server Error',
      'the destination has failed for too long',
    ])
    assert.equal(replica.lines.filter(({ event }) => event === 'delivery.dead').length, 7)
    assert.equal(replica.outcomes.filter((outcome) => outcome === 'webhook dead').length, 7)
    assert.equal(far.received.length, 5)
  })

  test('a channel test is sent through an open breaker, and its result counts', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 80 })
    let works = false
    const far = await createReceiver(t, () => (works ? 200 : 500))
    const channel = await opened(world, replica, far.url)
    const tried = () => replica.channels.test(world.projectId, channel, new AbortController().signal)
    assert.equal((await tried()).delivered, false)
    assert.equal(breakerOf(replica, channel)?.state, 'open')
    works = true
    for (let n = 0; n < 3; n++) assert.equal((await tried()).delivered, true)
    assert.equal(breakerOf(replica, channel)?.state, 'closed')
  })

  test('new settings reset the breaker of a channel, and deleting the channel removes it', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 80 })
    const far = await createReceiver(t, ({ url }) => (url === '/broken' ? 500 : 200))
    const channel = await opened(world, replica, `${far.url}/broken`)
    await replica.channels.update(world.caller, channel, { settings: { url: `${far.url}/new` } })
    world.clock.now += 5000
    await replica.turn()
    assert.deepEqual(await states(world), Array(5).fill('sent 2'))
    await replica.channels.remove(world.caller, channel)
    assert.deepEqual(replica.breakers.list(), [])
  })

  test('an interrupted attempt returns its trial', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 80, requestTimeoutMs: 60_000 })
    let hangs = false
    const url = await listen(t, (_request, response) => {
      if (!hangs) response.writeHead(500).end()
    })
    const channel = await opened(world, replica, url)
    hangs = true
    world.clock.now += 60_000
    await replica.notifications.claim()
    await replica.notifications.drain(100)
    const breaker = replica.breakers.get(breakerName({ id: channel, kind: 'webhook' }), 'webhook')
    assert.equal(breaker.phase(), 'half_open')
    for (let n = 0; n < 3; n++) assert.notEqual(breaker.begin(), null)
    assert.equal(breaker.begin(), null)
  })
})

test('one kind of destination can have a shorter time limit than the others', async (t) => {
  const { call } = await build(t, { CIRCUIT_BREAKER_OVERRIDES: '{"webhook": {"requestTimeoutMs": 150}}' })
  const settings = { url: await listen(t, () => undefined) }
  const { id } = (await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings })).json()
  const answer = await call('POST', `/api/v3/channels/${id}/test/`)
  assert.deepEqual(answer.json(), { delivered: false, error: 'no answer within 150 ms from 127.0.0.1' })
})

test('a destination that fails opens its breaker and gets all alerts in order when it is back', async (t) => {
  const running = await build(t, {
    CIRCUIT_BREAKER_OVERRIDES: '{"webhook": {"recoveryMs": 1500}}',
    FLATLINE__ALERTING__INTERVAL_MS: '50',
    FLATLINE__ALERTING__RETRY_BASE_MS: '50',
    FLATLINE__ALERTING__RETRY_MAX_MS: '100',
  })
  let works = false
  const far = await createReceiver(t, ({ url }) => (works || url === '/healthy' ? 200 : 500))
  const ids: string[] = []
  for (let n = 0; n < 4; n++)
    ids.push((await running.call('POST', '/api/v3/checks/', { name: `job ${n}` })).json().uuid as string)
  for (const name of ['broken', 'healthy'])
    await running.call('POST', '/api/v3/channels/', {
      kind: 'webhook',
      name,
      settings: { url: `${far.url}/${name}` },
      checks: '*',
    })
  const signals = ['', '/fail', '', '/fail', '']
  const perCheck = signals.length - 1
  const healthy = () => far.received.filter(({ url }) => url === '/healthy')
  for (const [n, signal] of signals.entries()) {
    for (const id of ids) await running.call('POST', `/ping/${id}${signal}`, undefined, {})
    await eventually('the other to be served', () => healthy().length === ids.length * n)
  }

  const listed = async () => {
    const headers = { authorization: `Bearer ${adminToken}` }
    const answer = await call(running.url, 'GET', '/circuit-breaker', undefined, headers)
    return (answer.json().circuit_breakers as { kind: string; state: string; failures: number }[]).filter(
      ({ kind }) => kind === 'webhook',
    )
  }
  await eventually('the breaker to open', async () => (await listed()).some(({ state }) => state === 'open'))

  works = true
  const told = "status = 'sent' OR suppression = 'coalesced'"
  const finished = async () =>
    (await sql<{ n: number }>(running.databaseUrl, `SELECT count(*)::int AS n FROM deliveries WHERE ${told}`))[0]?.n
  await eventually('every alert to be sent', async () => (await finished()) === 2 * ids.length * perCheck)
  assert.deepEqual([...new Set((await listed()).map(({ state }) => state))], ['closed'])
  for (const path of ['/broken', '/healthy'])
    for (const id of ids) {
      const told = far.received.filter(({ url, body }) => url === path && JSON.parse(body).check.uuid === id)
      const events = told.map(({ body, headers }) => `${JSON.parse(body).event} ${headers['idempotency-key']}`)
      const once = [...new Set(events)].map((event) => event.split(' ')[0]).join(' ')
      if (path === '/healthy') assert.equal(told.length, 4)
      assert.match(once, path === '/healthy' ? /^down up down up$/ : /^(down )?up (down )?up$/)
    }
})
