import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { listen } from '../fake-destination.ts'
import { build, createReceiver, eventually } from '../helper.ts'
import { sql } from '../postgres.ts'
import { createWorld } from './world.ts'

type World = Awaited<ReturnType<typeof createWorld>>
type Replica = Awaited<ReturnType<World['replica']>>

const listed = async (world: World, { notifications }: Replica) =>
  (await notifications.deliveries.list({ projectId: world.projectId, readOnly: false }, {}, 100)).deliveries

suite('a delivery that waits for its channel says what for', () => {
  test('a delivery waits for an open circuit breaker, and says so', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ failureThreshold: 1 })
    const far = await createReceiver(t, () => 500)
    const hook = await world.webhook(replica, { url: far.url })
    for (const name of ['a', 'b']) await world.flips(await world.check(replica, [hook], name), ['down'])
    await replica.turn()
    world.clock.now += 10_000
    await replica.turn()
    const waits = (await listed(world, replica)).map(({ waiting_for }) => waiting_for)
    assert.deepEqual(waits, ['circuit_breaker', 'circuit_breaker'])
    world.clock.now += 60_000
    assert.deepEqual(
      (await listed(world, replica)).map(({ waiting_for }) => waiting_for),
      [null, null],
    )
  })

  test('a delivery waits for the pace of its vendor, and says so', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 160 })
    const url = await listen(t, (_request, response) => response.end('ok'))
    const slack = await world.channel(replica, 'slack', { url })
    for (let n = 0; n < 6; n++) await world.flips(await world.check(replica, [slack], `job ${n}`), ['down'])
    await replica.turn()
    const waits = (await listed(world, replica)).map(({ status, waiting_for }) => `${status} ${waiting_for}`)
    assert.deepEqual(waits.sort(), ['pending pace', ...Array.from({ length: 5 }, () => 'sent null')])
  })

  test('a delivery waits for a key that can decrypt its settings, and says so', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    const hook = await world.webhook(replica, { url: 'http://127.0.0.1:1' })
    await sql(world.url, 'UPDATE channels SET settings = $1', [randomBytes(60)])
    await world.flips(await world.check(replica, [hook]), ['down'])
    await replica.turn()
    const [delivery] = await listed(world, replica)
    assert.deepEqual([delivery?.status, delivery?.waiting_for], ['retrying', 'encryption_key'])
  })

  test('a delivery waits for a slot while requests in progress use the share of its channel', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 4 })
    const answers: (() => void)[] = []
    const url = await listen(t, (_request, response) => answers.push(() => response.end('ok')))
    const hook = await world.webhook(replica, { url })
    for (const name of ['a', 'b']) await world.flips(await world.check(replica, [hook], name), ['down'])
    await replica.notifications.relay()
    await replica.notifications.claim()
    await eventually('the request', () => answers.length === 1)
    const waits = (await listed(world, replica)).map(({ waiting_for }) => waiting_for ?? 'nothing')
    assert.deepEqual(waits.sort(), ['nothing', 'slot'])
    answers[0]?.()
    await replica.notifications.drain(10_000)
    assert.deepEqual(
      (await listed(world, replica)).map(({ waiting_for }) => waiting_for),
      [null, null],
    )
  })

  test('a delivery waits for the Retry-After pause that another replica was given', async (t) => {
    const world = await createWorld(t)
    const [replica, other] = [await world.replica(), await world.replica()]
    const url = await listen(t, (_request, response) => response.writeHead(429, { 'retry-after': '30' }).end())
    const hook = await world.webhook(replica, { url })
    for (const name of ['a', 'b']) await world.flips(await world.check(replica, [hook], name), ['down'])
    await replica.turn()
    for (const one of [replica, other])
      assert.deepEqual(
        (await listed(world, one)).map(({ waiting_for }) => waiting_for),
        ['retry_after', 'retry_after'],
      )
  })
})

test('the API shows the pause for which a destination has asked', async (t) => {
  const running = await build(t)
  const url = await listen(t, (_request, response) => response.writeHead(429, { 'retry-after': '600' }).end())
  const channel = { kind: 'webhook', name: 'busy', settings: { url }, checks: '*' }
  const { uuid } = (await running.call('POST', '/api/v3/checks/', { name: 'job' })).json()
  await running.call('POST', '/api/v3/channels/', channel)
  await running.call('POST', `/ping/${uuid}`, undefined, {})
  await running.call('POST', `/ping/${uuid}/fail`, undefined, {})
  const delivery = await eventually('the refused attempt', async () => {
    const answer = (await running.call('GET', '/api/v3/deliveries/?status=retrying')).json()
    return (answer.deliveries as { status: string; waiting_for: string | null }[])[0]
  })
  assert.deepEqual([delivery.status, delivery.waiting_for], ['retrying', 'retry_after'])
})
