import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ensurePartitions } from '../../../src/ingest/history/partitions.ts'
import { build, createReceiver, eventually, keys, type Running } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { createWorld } from '../world.ts'

/** A grandparent, a parent and a child with one channel, and a hand on their statuses. */
async function createFamily(t: TestContext) {
  const world = await createWorld(t)
  const replica = await world.replica()
  const far = await createReceiver(t)
  await ensurePartitions(replica.database, 1)
  const channel = await world.webhook(replica, { url: far.url })
  const [grandparent, parent, child] = [
    await world.check(replica, []),
    await world.check(replica, []),
    await world.check(replica, [channel], 'child'),
  ]
  const link = 'UPDATE checks SET parent_id = $2 WHERE id = $1'
  await sql(world.url, link, [child, parent])
  await sql(world.url, link, [parent, grandparent])
  return {
    ...world,
    replica,
    another: world.replica,
    grandparent,
    parent,
    child,
    /** Once suppressed alerts are checked again. */
    async release(on = replica) {
      world.clock.now += 15_000
      return on.notifications.release()
    },
    told: () => far.received.map(({ body }) => JSON.parse(body).event as string),
    set: (id: string, status: string) => sql(world.url, 'UPDATE checks SET status = $2 WHERE id = $1', [id, status]),
    /** The child's next flip, with its status. */
    async flip(to: 'down' | 'up' | 'paused') {
      const [row] = await sql<{ seq: number }>(
        world.url,
        'UPDATE checks SET status = $2, flip_seq = flip_seq + 1 WHERE id = $1 RETURNING flip_seq AS seq',
        [child, to],
      )
      await world.flips(child, [to], row?.seq)
    },
    /** Of one outage. */
    seen: async () =>
      (await world.deliveries()).map(({ event, status, last_error }) => [event, status, last_error].join(' ')).sort(),
    reminderIn: async () => (await world.deliveries()).find(({ event }) => event === 'reminder')?.wait,
  }
}

const wasQuiet = 'down suppressed the parent check was down'
const quiet = [wasQuiet]

test('an outage that begins while a parent is down is suppressed, and so is its recovery', async (t) => {
  const family = await createFamily(t)
  await family.set(family.parent, 'down')
  await family.flip('down')
  await family.replica.turn()
  assert.deepEqual(await family.seen(), quiet)
  await family.flip('up')
  await family.replica.turn()
  assert.deepEqual(await family.seen(), [...quiet, 'up suppressed the alert about the outage was suppressed'])
  await family.set(family.parent, 'up')
  await family.release()
  assert.equal((await family.seen())[0], wasQuiet)
  await family.flip('down')
  await family.replica.turn()
  await family.flip('up')
  await family.replica.turn()
  assert.deepEqual(family.told(), ['down', 'up'], 'and from now on its alerts are sent again')
})

test('a grandparent counts; a parent that is up, paused, deleted or of another project does not', async (t) => {
  const family = await createFamily(t)
  await family.set(family.grandparent, 'down')
  await family.flip('down')
  await family.replica.turn()
  assert.deepEqual(family.told(), [])
  for (const change of [
    `UPDATE checks SET status = 'paused' WHERE id = '${family.grandparent}'`,
    `UPDATE checks SET status = 'down', project_id = gen_random_uuid() WHERE id = '${family.grandparent}'`,
    `DELETE FROM checks WHERE id = '${family.grandparent}'`,
  ]) {
    if (change.includes('project_id'))
      await sql(family.url, 'ALTER TABLE checks DROP CONSTRAINT checks_project_id_fkey')
    await sql(family.url, change)
    const before = family.told().length
    await family.flip('up')
    await family.flip('down')
    await family.replica.turn()
    await family.replica.turn()
    assert.equal(family.told().at(-1), 'down', change)
    assert.ok(family.told().length > before)
  }
})

test('a child that stays down after its parent recovers gets one reminder, after its next deadline', async (t) => {
  const family = await createFamily(t)
  await sql(family.url, 'UPDATE checks SET timeout_s = 60, grace_s = 30 WHERE id = $1', [family.child])
  await family.set(family.parent, 'down')
  await family.flip('down')
  await family.replica.turn()
  assert.equal(await family.release(), false)
  assert.deepEqual(await family.seen(), quiet, 'not while it lasts')
  await family.set(family.parent, 'up')
  const other = await family.another()
  await Promise.all([family.release(), other.notifications.release()])
  assert.deepEqual(await family.seen(), [wasQuiet, 'reminder pending '])
  assert.equal(await family.reminderIn(), 90_000)
  family.clock.now += 89_000
  await family.replica.turn()
  assert.deepEqual(family.told(), [])
  family.clock.now += 2000
  await family.replica.turn()
  assert.deepEqual(family.told(), ['reminder'])
  await family.flip('up')
  await family.replica.turn()
  assert.deepEqual(family.told(), ['reminder', 'up'], 'a channel that got the outage gets its end')
})

test('a child in time sends no alert, and a parent that goes down again suppresses it again', async (t) => {
  const family = await createFamily(t)
  await family.set(family.parent, 'down')
  await family.flip('down')
  await family.replica.turn()
  await family.set(family.parent, 'up')
  await family.release()
  assert.equal(await family.reminderIn(), 3_600_000, 'nobody waits a day for a daily job')
  await family.set(family.parent, 'down')
  family.clock.now += 3_600_000
  await family.replica.turn()
  assert.deepEqual((await family.seen())[1], 'reminder suppressed the parent check was down')
  await family.set(family.parent, 'up')
  await family.release()
  assert.deepEqual((await family.seen())[1], 'reminder pending ')
  await family.flip('up')
  await family.replica.turn()
  assert.deepEqual(await family.seen(), [
    wasQuiet,
    'reminder suppressed the check recovered',
    'up suppressed the alert about the outage was suppressed',
  ])
  assert.deepEqual(family.told(), [])
})

test('the API lists the sent alert of the parent and the suppressed one of the child', async (t) => {
  const running = await build(t)
  const { call } = running
  const far = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: far.url } })
  const make = async (body: object) =>
    String((await call('POST', '/api/v3/checks/', { channels: '*', ...body })).json().uuid)
  const router = await make({ name: 'router' })
  const backup = await make({ name: 'backup', parent: router })
  await call('GET', `/ping/${router}/fail`, undefined, {})
  await eventually('the alert', () => far.received.length === 1)
  await call('GET', `/ping/${backup}/fail`, undefined, {})
  const quiet = await eventually('the child’s delivery', () => deliveryOf(running, backup, 'suppressed'))
  assert.equal(quiet.last_error, 'the parent check was down')
  await call('GET', `/ping/${router}`, undefined, {})
  await eventually('the recovery', () => far.received.length === 2)
  assert.deepEqual(
    far.received.map(({ body }) => `${JSON.parse(body).check.name} ${JSON.parse(body).event}`),
    ['router down', 'router up'],
  )
})

test('a parent must be a check of the project and no descendant, and is removed when it is deleted', async (t) => {
  const running = await build(t)
  const { call } = running
  const make = async (name: string) => String((await call('POST', '/api/v3/checks/', { name })).json().uuid)
  const [a, b, c] = [await make('a'), await make('b'), await make('c')]
  const set = (id: string, parent: string | null) => call('POST', `/api/v3/checks/${id}`, { parent })
  assert.equal((await set(b, a)).json().parent, a)
  assert.equal((await set(c, b)).json().parent, b)
  for (const [id, parent] of [
    [a, c],
    [a, b],
    [a, a],
  ] as const) {
    const { status, text } = await set(id, parent)
    assert.deepEqual([status, text], [400, '{"error":"json validation error: parent would be its own descendant"}'])
  }
  const seen = await call('GET', `/api/v3/checks/${c}`, undefined, { 'x-api-key': keys.api_key_readonly })
  assert.match(String(seen.json().parent), /^[0-9a-f]{40}$/)
  assert.ok(!seen.text.includes(b))
  await call('DELETE', `/api/v3/checks/${b}`)
  assert.ok(!('parent' in (await call('GET', `/api/v3/checks/${c}`)).json()))
  assert.equal((await set(c, a)).json().parent, a)
  assert.ok(!('parent' in (await set(c, null)).json()))
  const cycles = await Promise.all([set(a, c), set(c, a)])
  assert.deepEqual(cycles.map(({ status }) => status).sort(), [200, 400], 'two at once close no cycle')
})

async function deliveryOf({ call }: Running, check: string, status: string) {
  const { deliveries } = (await call('GET', `/api/v3/deliveries/?check=${check}&status=${status}`)).json()
  return (deliveries as { last_error: string }[])[0]
}
