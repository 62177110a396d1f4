import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createSpoolFailover } from '../../../src/ingest/failover/spool-failover.ts'
import { type Outcome, pingKinds, type Received, uploadKinds } from '../../../src/ingest/signal.ts'
import { decodeRecords } from '../../../src/spool/records.ts'
import { openSpool } from '../../../src/spool/spool.ts'
import { eventually, scratchDir } from '../../helper.ts'
import { pause } from '../../patience.ts'
import { received } from '../received.ts'

const log = { info() {}, warn() {}, error() {} }
const checkId = '6b1f3a52-54be-4909-a300-9a296a8c72e4'
const recorded: Outcome = { recorded: 'success', created: false }

/** A failover before a database that is slow, or away; `stored` is what it has, in the order in which it came. */
async function open(t: TestContext, database: { isAway: boolean; writeMs: number }, maxBytes = 1e7) {
  const spool = await openSpool({
    root: await scratchDir(t),
    parentMode: 0o700,
    limits: { maxBytes, segmentBytes: 1e5, queueMaxEntries: 1000 },
    log,
  })
  const stored: number[] = []
  let failure: Error | null = null
  const fail = (next: Error | null) => {
    failure = next
  }
  const requireDatabase = () => {
    if (database.isAway) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
  }
  const failover = createSpoolFailover({
    spool,
    record: async (entries) => {
      await pause(database.writeMs)
      requireDatabase()
      if (failure !== null) throw failure
      stored.push(...entries.map(({ at }) => at))
      return entries.map(() => recorded)
    },
    quarantine: { add: async () => requireDatabase(), addUnfit: async () => requireDatabase() },
    ping: async () => requireDatabase(),
    count() {},
    shareOf: () => 0.5,
    projectOfKey: (hash) => (hash === 'known' ? 'project' : null),
    projectsOf: async (ids) => new Map(ids.map((id) => [id, 'project'])),
    log,
  })
  t.after(() => failover.close())
  return { failover, stored, fail }
}

/** Arrives, and is on disk or in the database afterwards, as ingest/service.ts does it. */
async function arrive({ failover, stored }: Awaited<ReturnType<typeof open>>, n: number): Promise<void> {
  if (failover.active) {
    await new Promise((resolve) => assert.ok(failover.push(received({ at: n, checkId }), resolve)))
    return
  }
  await failover.drained().then(
    () => stored.push(n),
    (error) => failover.divert([received({ at: n, checkId })], error),
  )
}

test('a constant stream of heartbeats does not keep the spool in use, and none overtakes another', async (t) => {
  const world = await open(t, { isAway: false, writeMs: 15 })
  const arriving: Promise<void>[] = []
  let n = 0
  const arrivals = setInterval(() => arriving.push(arrive(world, ++n)), 2)
  t.after(() => clearInterval(arrivals))
  await eventually('the spool to be in use', () => world.failover.active)
  await eventually('the spool to be left', async () => {
    await world.failover.replay()
    return !world.failover.active && world.failover.isEmpty()
  })
  await pause(50)
  clearInterval(arrivals)
  await Promise.all(arriving)
  assert.deepEqual(
    world.stored,
    Array.from({ length: n }, (_, index) => index + 1),
  )
})

test('clients that send as fast as they are answered do not outrun the replay for ever', async (t) => {
  const database = { isAway: true, writeMs: 100 }
  const world = await open(t, database, 1e9)
  let n = 0
  while (n < 5000) await Promise.all(Array.from({ length: 100 }, () => arrive(world, ++n)))
  let sending = true
  const client = async () => {
    while (sending) await arrive(world, ++n)
  }
  const clients = Promise.all(Array.from({ length: 100 }, client))
  database.isAway = false
  await eventually('the spool to be left', async () => {
    await world.failover.replay()
    return !world.failover.active && world.failover.isEmpty()
  })
  sending = false
  await clients
  assert.equal(new Set(world.stored).size, n)
})

test('a replica that hands over its spool tries its own database again although clients go on', async (t) => {
  const database = { isAway: true, writeMs: 1 }
  const world = await open(t, database)
  let n = 0
  let given = 0
  world.failover.relay({
    hold: (answer) => answer(),
    handOver: async (records) => {
      given += decodeRecords(records).records.length
      if (records.length > 0 && n < 100) await arrive(world, ++n)
      return true
    },
  })
  await arrive(world, ++n)
  await world.failover.replay()
  assert.equal(given, 1)
  database.isAway = false
  await world.failover.replay()
  assert.ok(!world.failover.active)
  assert.deepEqual(world.stored, [2])
})

test('an outage at the end of a replay sends the heartbeats that wait for it into the spool', async (t) => {
  const database = { isAway: false, writeMs: 30 }
  const world = await open(t, database)
  await arrive(world, 1)
  const replaying = world.failover.replay()
  await eventually('the hand-over', () => !world.failover.active)
  const waiting = arrive(world, 2)
  database.isAway = true
  assert.equal(await replaying, false)
  await waiting
  assert.ok(world.failover.active)
  assert.equal(world.failover.backlog().records, 2)
  assert.deepEqual(world.stored, [])
  database.isAway = false
  await world.failover.replay()
  assert.deepEqual(world.stored, [1, 2])
  assert.ok(!world.failover.active)
})

test('a replay that fails while the database answers is reported and does not block detection', async (t) => {
  const database = { isAway: false, writeMs: 1 }
  const world = await open(t, database)
  await arrive(world, 1)
  let now = 0
  t.mock.method(performance, 'now', () => now)
  world.fail(new Error('not the database'))
  await assert.rejects(world.failover.replay(), /not the database/)
  assert.ok(!world.failover.isStalled())
  assert.equal(world.failover.oldestExpected(), 1)
  now += 60_001
  await assert.rejects(world.failover.replay(), /not the database/)
  assert.ok(world.failover.isStalled())
  assert.equal(world.failover.oldestExpected(), null)
  assert.equal(world.failover.backlog().oldestAt, 1)
  database.isAway = true
  await world.failover.replay()
  assert.ok(!world.failover.isStalled(), 'a database that is away is waited for')
  database.isAway = false
  world.fail(null)
  await world.failover.replay()
  assert.deepEqual(world.stored, [1])
  assert.equal(world.failover.oldestExpected(), null)
})

test('unknown senders who fill their share block no known check, and a project no other project', async (t) => {
  const { failover } = await open(t, { isAway: true, writeMs: 1 }, 200_000)
  const isTaken = (given: Parameters<typeof received>[0]) => failover.push(received({ checkId, ...given }), () => {})
  const bySlug = (keyHash: string): Partial<Received> => ({
    target: { by: 'slug', project: { keyHash, kinds: pingKinds }, slug: 's', create: true },
  })
  const upload = (keyHash: string): Partial<Received> => ({
    target: { by: 'id', checkId, within: { keyHash, kinds: uploadKinds } },
  })
  let strangers = 0
  while (isTaken({ ...bySlug(`made up ${strangers % 1000}`), address: '192.0.2.7' })) strangers++
  assert.ok(strangers > 10 && strangers < 40, `${strangers}: half of a tenth`)
  assert.ok(
    !isTaken({ checkId: crypto.randomUUID(), address: '192.0.2.7', remoteAddr: '198.51.100.1' }),
    'as a header claims',
  )
  assert.ok(isTaken({ checkId: crypto.randomUUID(), address: '192.0.2.8' }), 'another address')
  assert.ok(isTaken(bySlug('known')))
  assert.ok(isTaken(upload('known')))
  failover.rememberCheck(checkId, null)
  assert.ok(isTaken({ checkId, address: '192.0.2.7' }), 'a known check')
  assert.ok(!isTaken({ ...upload('made up'), address: '192.0.2.7' }), 'with a stranger’s key')

  await failover.lookUpProjects()
  let own = 0
  while (isTaken({ checkId })) own++
  assert.ok(own > 100, `${own} of the project`)
  assert.ok(!isTaken(bySlug('known')), 'the project is at its share')
  failover.rememberCheck(crypto.randomUUID(), null)
  const other = crypto.randomUUID()
  failover.rememberCheck(other, 'another project')
  assert.ok(isTaken({ checkId: other }))
})
