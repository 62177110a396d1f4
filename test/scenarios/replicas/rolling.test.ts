import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { call, createReceiver, eventually, keys } from '../../helper.ts'
import { patience } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { needsTool } from '../../tools.ts'
import type { Balancer } from './balancer.ts'
import { assertKept, blue, createChecks, type Fleet, green, startFleet, startLoad, summary } from './fleet.ts'
import type { Report } from './rolling-client.ts'

const skip = needsTool('haproxy')
/** Six replacements, each as long as a drain, a start and what the balancer takes to believe it. */
const timeout = patience(400_000)
const load = { pingsPerSecond: 80, storiesPerSecond: 4, slowEvery: 25 }
/** As shipped: how long a replica goes on serving is what lets the balancer notice in time. */
const shipped = { DRAIN_MS: '' }

test('replacing three replicas twice under load fails no request, and killing one fails only its own', {
  skip,
  timeout,
}, async (t) => {
  const databaseUrl = await createDatabase(t)
  const fleet = await startFleet(t, { ...shipped, DATABASE_URL: databaseUrl })
  const { balancer } = fleet
  const checks = await createChecks(fleet, 20)
  const silences = await watchSilence(t, fleet, [6, 14, 22, 30, 38])

  const rolling = await startLoad(t, { ...load, socketPath: balancer.entrances.strict, checks })
  for (const name of [...blue, ...blue]) await fleet.replace(name)
  const rolled = await rolling.stop()
  t.diagnostic(`replaced twice: ${summary(rolled)}`)
  assert.deepEqual(rolled.failures, [], 'not one request failed')
  assert.ok(rolled.acknowledged.length > 500 && rolled.slow > 10 && rolled.calls > 100, summary(rolled))
  await assertKept(databaseUrl, [rolled])
  await silences.assertTold()

  const killing = await startLoad(t, {
    ...load,
    slowEvery: 3,
    unshared: true,
    socketPath: balancer.entrances.redispatching,
    checks,
  })
  // Long enough for slow ones to be on their way to each replica.
  await eventually('a steady load', () => killing.progress().answered > 200)
  await fleet.service('b').stop('SIGKILL')
  const goneAt = Date.now()
  await balancer.waitFor('b', 'DOWN')
  const { answered } = killing.progress()
  await eventually('answers without it', () => killing.progress().answered > answered + 100)
  const killed = await killing.stop()
  t.diagnostic(`killed one: ${summary(killed)}`)
  assertInFlight(killed, balancer, 'b', goneAt)
  await assertKept(databaseUrl, [rolled, killed])

  const alarms = await sql<{ check_id: string }>(databaseUrl, `SELECT check_id FROM flips WHERE "to" = 'down'`)
  assert.deepEqual(alarms.map((flip) => flip.check_id).sort(), silences.checks, 'no check that beats was alarmed')
})

test('without a drain the load balancer still sends requests to a replica that is gone', {
  skip,
}, async (t) => {
  const databaseUrl = await createDatabase(t)
  const fleet = await startFleet(t, { ...shipped, DRAIN_MS: '0', DATABASE_URL: databaseUrl })
  const { balancer } = fleet
  const checks = await createChecks(fleet, 20)
  const client = await startLoad(t, { ...load, socketPath: balancer.entrances.strict, checks })
  await fleet.replace('a')
  const report = await client.stop()
  t.diagnostic(`without a drain: ${summary(report)}`)
  assert.ok(report.failures.length > 0, 'the harness sees a failure where there is one')
  const servers = serversOf(report, balancer)
  assert.deepEqual(
    servers.filter((server) => server !== undefined && server !== 'a'),
    [],
  )
  assert.ok(servers.includes('a'), balancer.output())
  await assertKept(databaseUrl, [report])
})

test('a second fleet takes over at once, returns at once, and takes over for good', { skip }, async (t) => {
  const databaseUrl = await createDatabase(t)
  const fleet = await startFleet(t, { ...shipped, DRAIN_MS: '1000', DATABASE_URL: databaseUrl })
  const { balancer } = fleet
  const checks = await createChecks(fleet, 20)
  const client = await startLoad(t, { ...load, socketPath: balancer.entrances.strict, checks })
  await Promise.all(green.map((name) => fleet.start(name)))
  // Verified before anybody depends on them.
  for (const name of green) await balancer.waitFor(name, 'DRAIN')

  async function hand(to: typeof blue | typeof green, from: typeof blue | typeof green): Promise<void> {
    for (const name of to) await balancer.admit(name, 'ready')
    for (const name of from) await balancer.admit(name, 'drain')
    const before = balancer.handled().length
    const since = () => balancer.handled().slice(before)
    await eventually('the others to serve', () => to.every((name) => since().some(({ server }) => server === name)))
  }
  await hand(green, blue)
  await hand(blue, green)
  await hand(green, blue)
  // Nothing comes any more when what they had is done.
  await eventually('the first fleet to be idle', () => {
    const latest = balancer.handled().slice(-100)
    return latest.every(({ server }) => !blue.some((name) => name === server))
  })
  await Promise.all(blue.map((name) => fleet.stop(name)))
  const report = await client.stop()
  t.diagnostic(`blue-green: ${summary(report)}`)
  assert.deepEqual(report.failures, [])
  await assertKept(databaseUrl, [report])
})

/** The server that each failure was at. HAProxy has no line for one that it ended without an answer. */
function serversOf({ failures }: Report, balancer: Balancer): (string | undefined)[] {
  const handled = new Map(balancer.handled().map((one) => [one.id, one]))
  return failures.map(({ id }) => handled.get(id)?.server)
}

/** There are failures; each had reached the server, none was begun after its end. */
function assertInFlight({ failures }: Report, balancer: Balancer, server: string, goneAt: number): void {
  const handled = new Map(balancer.handled().map((one) => [one.id, one]))
  assert.ok(failures.length > 0, 'a slow heartbeat was on its way to each of them')
  for (const failure of failures) {
    const about = JSON.stringify({ ...failure, ...handled.get(failure.id), goneAt })
    assert.equal(handled.get(failure.id)?.server, server, about)
    assert.match(handled.get(failure.id)?.ended ?? '', /^S[DH]$/, about)
    assert.ok(failure.sentAt <= goneAt, about)
  }
}

/** Checks that fall silent so many seconds from now, whichever replicas run then. */
async function watchSilence(t: TestContext, { service }: Fleet, afterSeconds: readonly number[]) {
  const receiver = await createReceiver(t)
  const auth = { 'x-api-key': keys.api_key }
  const post = (path: string, body: object) => call(service('a').url, 'POST', path, body, auth)
  await post('/api/v3/channels/', { kind: 'webhook', name: 'on call', settings: { url: receiver.url } })
  const checks: string[] = []
  for (const seconds of afterSeconds) {
    const made = (await post('/api/v3/checks/', { timeout: seconds - 1, grace: 1, channels: '*' })).json()
    await call(service('a').url, 'GET', `/ping/${made.uuid}`, undefined, {})
    checks.push(String(made.uuid))
  }
  checks.sort()
  return {
    checks,
    /** Each silence was alerted once, and soon. */
    async assertTold(): Promise<void> {
      await eventually('an alarm for each silence', () => receiver.received.length >= checks.length)
      const told = receiver.received.map(({ body, at }) => ({ ...JSON.parse(body), at }))
      assert.deepEqual(told.map(({ check }) => check.uuid).sort(), checks)
      const lateMs = told.map(({ at, flip }) => at - Date.parse(flip.at))
      t.diagnostic(`silence was alerted after ${lateMs.join(', ')} ms`)
      assert.ok(Math.max(...lateMs) < patience(10_000), `told after ${lateMs} ms`)
    },
  }
}
