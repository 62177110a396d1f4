// A delivery whose sender freezes or loses its database is sent once where that is possible; the destination counts by
// its key.

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { webhook } from '../../../src/channels/transports/webhook.ts'
import type { Transport } from '../../../src/channels/wire/transport.ts'
import { listen } from '../../fake-destination.ts'
import { createReceiver, eventually } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { createWorld } from '../world.ts'

const leaseMs = 15_000
const claimMs = 5000

type Answer = (status: number) => void

/** Keeps every request until the test answers it. */
async function createSlowSide(t: TestContext): Promise<{ url: string; keys: string[]; answers: Answer[] }> {
  const keys: string[] = []
  const answers: Answer[] = []
  const url = await listen(t, (request, response) => {
    keys.push(String(request.headers['idempotency-key']))
    answers.push((status) => response.writeHead(status).end())
  })
  return { url, keys, answers }
}

/** A webhook that waits at a gate before it opens a connection. */
function gated() {
  const gates: (() => void)[] = []
  let isOpen = false
  const kind: Transport<Parameters<typeof webhook.send>[1]> = {
    ...webhook,
    async send(message, settings, context) {
      if (!isOpen) await new Promise<void>((resolve) => gates.push(resolve))
      return webhook.send(message, settings, context)
    },
  }
  return { kinds: { webhook: kind as Transport }, gates, open: () => (isOpen = true) }
}

const stateOf = async (world: Awaited<ReturnType<typeof createWorld>>) =>
  (await world.deliveries()).map(({ status, attempts }) => `${status} ${attempts}`)

suite('a lease', () => {
  test('a sender whose lease expired while it was frozen does not send twice', async (t) => {
    const world = await createWorld(t)
    const sender = await world.replica({ requestTimeoutMs: 60_000 })
    const { url, keys, answers } = await createSlowSide(t)
    await world.flips(await world.check(sender, [await world.webhook(sender, { url })]), ['down'])
    await sender.notifications.relay()
    await sender.notifications.claim()
    await eventually('the request', () => answers.length === 1)
    world.clock.now += 10 * leaseMs
    await sender.notifications.claim()
    answers[0]?.(200)
    await sender.turn()
    assert.equal(keys.length, 1)
    assert.deepEqual(await stateOf(world), ['sent 1'])
  })

  test('a lease that expires before the request leaves the delivery to the other replica alone', async (t) => {
    const { kinds, gates, open } = gated()
    const world = await createWorld(t, kinds)
    const [frozen, other] = [await world.replica(), await world.replica()]
    const far = await createReceiver(t)
    await world.flips(await world.check(frozen, [await world.webhook(frozen, { url: far.url })]), ['down'])
    await frozen.notifications.relay()
    await frozen.notifications.claim()
    await eventually('the attempt', () => gates.length === 1)
    world.clock.now += leaseMs
    open()
    await other.turn()
    gates[0]?.()
    await frozen.notifications.drain(10_000)
    assert.equal(far.received.length, 1)
    assert.deepEqual(await stateOf(world), ['sent 2'])
    assert.deepEqual([frozen.outcomes, other.outcomes], [[], ['webhook sent']])
  })

  test('a lease is short before the request: a lost replica delays its delivery by seconds', async (t) => {
    const world = await createWorld(t)
    const [dead, other] = [await world.replica(), await world.replica()]
    const far = await createReceiver(t)
    await world.flips(await world.check(dead, [await world.webhook(dead, { url: far.url })]), ['down'])
    await dead.notifications.relay()
    const claim = `UPDATE deliveries SET attempts = 1, lease_until = next_attempt_at + '5 s', next_attempt_at = next_attempt_at + '5 s'`
    await sql(world.url, claim)
    world.clock.now += claimMs - 1
    await other.turn()
    assert.equal(far.received.length, 0)
    world.clock.now += 1
    await other.turn()
    assert.equal(far.received.length, 1)
  })

  test('a lease is renewed as long as a request takes, and no other replica sends meanwhile', async (t) => {
    const world = await createWorld(t)
    const [sender, other] = [await world.replica({ requestTimeoutMs: 60_000 }), await world.replica()]
    const { url, keys, answers } = await createSlowSide(t)
    await world.flips(await world.check(sender, [await world.webhook(sender, { url })]), ['down'])
    await sender.notifications.relay()
    await sender.notifications.claim()
    await eventually('the request', () => answers.length === 1)
    for (let n = 0; n < 6; n++) {
      world.clock.now += leaseMs / 3
      await sender.notifications.renewLeases()
      await other.turn()
    }
    answers[0]?.(200)
    await sender.notifications.drain(10_000)
    assert.equal(keys.length, 1)
    assert.deepEqual(await stateOf(world), ['sent 1'])
  })

  test('a lease that is lost after the request keeps its success: no replica retries', async (t) => {
    const world = await createWorld(t)
    const [frozen, other] = [await world.replica({ requestTimeoutMs: 60_000 }), await world.replica()]
    const { url, keys, answers } = await createSlowSide(t)
    await world.flips(await world.check(frozen, [await world.webhook(frozen, { url })]), ['down'])
    await frozen.notifications.relay()
    await frozen.notifications.claim()
    await eventually('the request', () => answers.length === 1)
    world.clock.now += leaseMs
    await other.notifications.claim()
    await eventually('the second request', () => answers.length === 2)
    answers[1]?.(500)
    await other.notifications.drain(10_000)
    assert.deepEqual(await stateOf(world), ['retrying 2'])
    answers[0]?.(200)
    await frozen.notifications.drain(10_000)
    assert.deepEqual(await stateOf(world), ['sent 2'])
    world.clock.now += 3_600_000
    await other.turn()
    assert.equal(keys.length, 2)
  })

  test('a success counts even if the delivery was given up meanwhile', async (t) => {
    const world = await createWorld(t)
    const sender = await world.replica({ requestTimeoutMs: 60_000 })
    const { url, answers } = await createSlowSide(t)
    await world.flips(await world.check(sender, [await world.webhook(sender, { url })]), ['down'])
    await sender.notifications.relay()
    await sender.notifications.claim()
    await eventually('the request', () => answers.length === 1)
    await sql(world.url, "UPDATE deliveries SET status = 'dead', next_attempt_at = NULL, lease_until = NULL")
    answers[0]?.(200)
    await sender.notifications.drain(10_000)
    assert.deepEqual(await stateOf(world), ['sent 1'])
  })
})
