import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { listen } from '../../fake-destination.ts'
import { createWorld } from '../world.ts'

suite('the pace of a destination', () => {
  test('the pace is kept before the vendor refuses, without spending attempts, and delays no others', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica({ concurrency: 160 })
    const seen: string[] = []
    const url = await listen(t, (request, response) => {
      seen.push(request.url ?? '')
      response.end('ok')
    })
    const slack = await world.channel(replica, 'slack', { url: `${url}/slack` })
    for (let n = 0; n < 8; n++) await world.flips(await world.check(replica, [slack], `job ${n}`), ['down'])
    const sent = (path: string) => seen.filter((one) => one === path).length
    await replica.turn()
    assert.equal(sent('/slack'), 5)

    const other = await world.webhook(replica, { url: `${url}/other` })
    await world.flips(await world.check(replica, [other]), ['down'])
    await replica.turn()
    assert.deepEqual([sent('/slack'), sent('/other')], [5, 1])
    world.clock.now += 1100
    await replica.turn()
    assert.equal(sent('/slack'), 6)
    world.clock.now += 5000
    await replica.turn()
    assert.equal(sent('/slack'), 8)
    assert.deepEqual([...new Set((await world.deliveries()).map(({ attempts }) => attempts))], [1])
  })

  test('all replicas keep one pace together, including one that starts later', async (t) => {
    const world = await createWorld(t)
    const replicas = await Promise.all([1, 2, 3].map(() => world.replica({ concurrency: 160 })))
    const [first] = replicas as [(typeof replicas)[number]]
    let seen = 0
    const url = await listen(t, (_request, response) => {
      seen++
      response.end('ok')
    })
    const slack = await world.channel(first, 'slack', { url })
    for (let n = 0; n < 12; n++) await world.flips(await world.check(first, [slack], `job ${n}`), ['down'])
    await first.notifications.relay()
    await Promise.all(replicas.map((replica) => replica.turn()))
    assert.equal(seen, 5, 'what Slack takes at once')
    await (await world.replica({ concurrency: 160 })).turn()
    assert.equal(seen, 5)
    world.clock.now += 2200
    await Promise.all(replicas.map((replica) => replica.turn()))
    assert.equal(seen, 7, 'and what it takes in two seconds')
    assert.ok((await world.deliveries()).every(({ attempts }) => attempts <= 1))
  })

  test('a requested pause applies to everything that goes to the destination', async (t) => {
    const world = await createWorld(t)
    const replica = await world.replica()
    let asked = 0
    const url = await listen(t, (_request, response) => {
      asked++
      if (asked === 1) response.writeHead(429, { 'retry-after': '30' })
      response.end('ok')
    })
    const channel = await world.webhook(replica, { url })
    await world.flips(await world.check(replica, [channel]), ['down'])
    await replica.turn()
    for (let n = 0; n < 3; n++) await world.flips(await world.check(replica, [channel]), ['down'])
    world.clock.now += 29_000
    await replica.turn()
    assert.equal(asked, 1)
    const attempts = (await world.deliveries()).map((delivery) => delivery.attempts).sort()
    assert.deepEqual(attempts, [0, 0, 0, 1])
    world.clock.now += 2000
    await replica.turn()
    assert.equal(asked, 5)
    const tried = await replica.channels.test(world.projectId, channel, new AbortController().signal)
    assert.equal(tried.delivered, true)
  })
  test('all replicas keep a requested pause, also one that starts later, until settings change', async (t) => {
    const world = await createWorld(t)
    const [first, second] = [await world.replica(), await world.replica()]
    let asked = 0
    const url = await listen(t, (_request, response) => {
      asked++
      if (asked === 1) response.writeHead(429, { 'retry-after': '30' })
      response.end('ok')
    })
    const channel = await world.webhook(first, { url })
    await world.flips(await world.check(first, [channel]), ['down'])
    await first.turn()
    assert.equal(asked, 1)
    for (let n = 0; n < 3; n++) await world.flips(await world.check(first, [channel]), ['down'])
    world.clock.now += 29_000
    await second.turn()
    await (await world.replica()).turn()
    assert.equal(asked, 1)
    assert.deepEqual((await world.deliveries()).map(({ attempts }) => attempts).sort(), [0, 0, 0, 1])
    await first.channels.update(world.caller, channel, { settings: { url: `${url}/elsewhere` } })
    await second.turn()
    assert.equal(asked, 4, 'what has its own time to wait still does')
    world.clock.now += 2000
    await second.turn()
    assert.equal(asked, 5)
  })
})
