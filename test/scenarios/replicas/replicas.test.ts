// Several replicas in `available` mode, each with a spool that the others cannot see. A check whose heartbeats were
// all answered OK in time causes no alert, whichever replicas received them.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createFaultProxy } from '../../fault-proxy.ts'
import { call, createReceiver, eventually, keys } from '../../helper.ts'
import { beatS, patience, pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { ownPostgres } from '../outages/own-postgres.ts'
import { type Service, startService } from '../service.ts'

const auth = { 'x-api-key': keys.api_key }
const settings = { timeout: 6 * beatS, grace: 4 * beatS }
const beatMs = 2000 * beatS

type FlipRow = { check_id: string; seq: number; at: Date; from: string; to: string; reason: string }

async function createChecks(service: Service, hook: string, count: number): Promise<string[]> {
  await call(service.url, 'POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: hook } }, auth)
  const made = await Promise.all(
    Array.from({ length: count }, () =>
      call(service.url, 'POST', '/api/v3/checks/', { ...settings, channels: '*' }, auth),
    ),
  )
  return made.map((answer) => String(answer.json().uuid))
}

/** Beats each check through the services in turn until it is stopped. A check is `prompt` as long as each beat was answered OK in time. */
function startBeating(t: TestContext, services: readonly Service[], checks: readonly string[]) {
  const stopping = new AbortController()
  const tardy = new Map<string, string>()
  const beat = async (id: string, turn: number) => {
    let last = performance.now()
    for (let i = turn; !stopping.signal.aborted; i++) {
      const service = services[i % services.length] as Service
      const response = await fetch(`${service.url}/ping/${id}`, {
        signal: AbortSignal.timeout(patience(20_000)),
      }).catch(() => null)
      await response?.text()
      const now = performance.now()
      // Slack beside the deadline: this client's clock is not the service's.
      const limitMs = (settings.timeout + settings.grace) * 1000 - 1000
      if (response?.status !== 200) tardy.set(id, `answered ${response?.status}`)
      else if (now - last > limitMs) tardy.set(id, `${Math.round(now - last)} ms between two beats`)
      last = now
      await pause(beatMs, stopping.signal)
    }
  }
  const done = Promise.all(checks.map((id, i) => beat(id, i)))
  t.after(() => stopping.abort())
  return {
    tardy,
    async stop() {
      stopping.abort()
      await done
    },
  }
}

const downFlips = (url: string, without: ReadonlyMap<string, string>) =>
  sql<FlipRow>(url, 'SELECT * FROM flips WHERE "to" = \'down\' ORDER BY at').then((rows) =>
    rows.filter(({ check_id: id }) => !without.has(id)),
  )

const isSettled = async (url: string) => {
  const [row] = await sql<{ open: string; spooling: string }>(
    url,
    `SELECT (SELECT count(*) FROM checks WHERE unsettled_to IS NOT NULL) AS open,
       (SELECT count(*) FROM replicas WHERE spools) AS spooling`,
  )
  return row?.open === '0' && row.spooling === '0'
}

test('an outage of the database alerts no check that was in time through two replicas', async (t) => {
  const postgres = await ownPostgres(t)
  const services = await Promise.all([1, 2].map(() => startService(t, { env: { DATABASE_URL: postgres.url } })))
  const receiver = await createReceiver(t)
  const checks = await createChecks(services[0] as Service, receiver.url, 20)
  const beating = startBeating(t, services, checks)
  await eventually('all checks to be up', async () => {
    const [row] = await sql<{ up: string }>(postgres.url, "SELECT count(*) AS up FROM checks WHERE status = 'up'")
    return row?.up === '20'
  })
  await postgres.stop()
  // As long as several deadlines take to pass.
  await pause(16_000 * beatS)
  await postgres.start()
  await eventually('all spools to be in the database', () => isSettled(postgres.url))
  await pause(beatMs * 2)
  assert.ok(beating.tardy.size < checks.length, [...beating.tardy.values()].join(', '))
  assert.deepEqual(await downFlips(postgres.url, beating.tardy), [])
  await beating.stop()

  const last = async () => (await sql<FlipRow>(postgres.url, 'SELECT * FROM flips WHERE "to" = \'down\'')).length
  await eventually('all checks that fell silent to be down', async () => (await last()) >= checks.length)
  t.diagnostic(`${checks.length - beating.tardy.size} of ${checks.length} checks beat in time`)
})

test('a replica that alone loses the database alerts no check that was in time through it', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const services = await Promise.all([
    startService(t, { env: { DATABASE_URL: databaseUrl } }),
    startService(t, { env: { DATABASE_URL: databaseUrl } }),
    startService(t, { env: { DATABASE_URL: proxy.url } }),
  ])
  const receiver = await createReceiver(t)
  const checks = await createChecks(services[0] as Service, receiver.url, 12)
  const beating = startBeating(t, services, checks)
  for (const fault of ['refuse', 'blackhole', 'reset'] as const) {
    await pause(beatMs * 3)
    await proxy.set(fault)
    await pause(15_000)
    await proxy.set('pass')
  }
  await eventually('all spools to be in the database', () => isSettled(databaseUrl))
  await pause(beatMs * 2)
  assert.ok(beating.tardy.size < checks.length, [...beating.tardy.values()].join(', '))
  assert.deepEqual(await downFlips(databaseUrl, beating.tardy), [])
  await beating.stop()
  t.diagnostic(`${checks.length - beating.tardy.size} of ${checks.length} checks beat in time`)
})

test('a killed replica does not keep the others from detecting silence', async (t) => {
  const databaseUrl = await createDatabase(t)
  const services = await Promise.all([1, 2].map(() => startService(t, { env: { DATABASE_URL: databaseUrl } })))
  const [survivor, victim] = services as [Service, Service]
  const receiver = await createReceiver(t)
  const [check = ''] = await createChecks(survivor, receiver.url, 1)
  await call(victim.url, 'GET', `/ping/${check}`, undefined, {})
  await victim.stop('SIGKILL')
  await eventually('the alert', () => receiver.received.length > 0)
  const [flip] = await downFlips(databaseUrl, new Map())
  assert.equal(flip?.reason, 'timeout')
})
