// Two real replicas on one database, watched by a real Prometheus, and every fault that the alert rules are about, caused
// one after the other. What is kept of each is a scrape before, one while it lasts, and one a moment later.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import pg from 'pg'
import { createFaultProxy, type FaultProxy } from '../../fault-proxy.ts'
import { adminToken, call, createReceiver, eventually, keys } from '../../helper.ts'
import { pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../../scenarios/service.ts'
import { type Fault, readScrape, type Snapshot } from './timeline.ts'

export type FaultName =
  | 'nothing'
  | 'failing deliveries'
  | 'a locked table, during'
  | 'a locked table, afterwards'
  | 'no database'
  | 'a replay that fails'
  | 'a heartbeat that the database refuses'
  | 'a replica that does not answer'
  | 'a replica that is gone'
  | 'no replica'
  | 'a start after a minute without any, on a full disk'

/** The replicas by the instances that Prometheus knows. `a` refuses heartbeats without a database, `b` spools them. */
export type Replicas = { a: Service; b: Service; databaseUrl: string; proxy: FaultProxy; receiver: string }

const pollMs = 500
const silentChecks = 26
const brokenChannels = 4

export async function startReplicas(t: TestContext): Promise<Replicas> {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const answers: Record<string, number> = { '/broken': 500, '/gone': 410 }
  const { url: receiver } = await createReceiver(t, ({ url }) => answers[url] ?? 200)
  const start = (mode: string) =>
    startService(t, { env: { ...environment, DATABASE_URL: proxy.url, INGEST_MODE: mode } })
  const [a, b] = await Promise.all([start('consistent'), start('available')])
  return { a, b, databaseUrl, proxy, receiver }
}

const environment = {
  FLATLINE__DATABASE__POOL_MAX: '10',
  FLATLINE__HEALTH__REPLICAS_EXPECTED: '2',
  // The disk of the test is not under test.
  FLATLINE__HEALTH__DISK_DEGRADED_PERCENT: '100',
}

/**
 * Causes everything, and returns what was scraped. `scraped` waits for a scrape of Prometheus; `drawn` is called at the
 * end, while the replicas still run.
 */
export async function causeFaults(
  t: TestContext,
  replicas: Replicas,
  scraped: () => Promise<void>,
  drawn: () => Promise<void>,
): Promise<Record<FaultName, Fault>> {
  const { a, b } = replicas
  const job = await create(a.url, 'job', { channels: '*' })
  const nothing = await causeNothing(replicas, job, scraped)
  const failing = await failDeliveries(replicas)
  const [during, afterwards] = await lockTable(replicas)
  const { away, replay, refused } = await stopDatabase(replicas, job)
  await drawn()

  await b.stop('SIGKILL')
  const from = nothing.to
  const silent = { from, to: await snapshot({ a, b }) }
  const gone = { from, to: await snapshot({ a }) }
  await a.stop('SIGKILL')
  const none = { from, to: await snapshot({ a, b }) }
  const restart = { from: { a: from.a as Snapshot[string] }, to: await startLate(t, replicas) }
  return {
    nothing,
    'failing deliveries': failing,
    'a locked table, during': during,
    'a locked table, afterwards': afterwards,
    'no database': away,
    'a replay that fails': replay,
    'a heartbeat that the database refuses': refused,
    'a replica that does not answer': silent,
    'a replica that is gone': gone,
    'no replica': none,
    'a start after a minute without any, on a full disk': restart,
  }
}

// --- the faults ------------------------------------------------------------------------------------------------------

async function causeNothing({ a, b, receiver }: Replicas, job: string, scraped: () => Promise<void>): Promise<Fault> {
  await makeChannel(a.url, `${receiver}/well`)
  const other = await create(a.url, 'other', { channels: '*', tags: 'nightly' })
  const work = async () => {
    for (const { url } of [a, b])
      for (const action of ['', '/start', '', '/log']) await call(url, 'GET', `/ping/${job}${action}`)
    await call(a.url, 'GET', `/ping/${other}/fail`)
    await call(a.url, 'GET', `/ping/${other}`)
    await call(a.url, 'GET', '/api/v3/checks/')
  }
  const isAtRest = (now: Snapshot) =>
    sum(now, /^database_connections_waiting/) === 0 && sum(now, /^data_staleness_ms/) === 0
  const hasSent = (now: Snapshot) => sum(now, /^deliveries_total.*outcome="sent"/) > 0
  await work()
  const from = await snapshotWhen('a sent alert', { a, b }, (now) => hasSent(now) && isAtRest(now))
  await scraped()
  await work()
  const to = await snapshotWhen('nothing that waits', { a, b }, isAtRest)
  const lastRuns = ({ a, b }: Snapshot) =>
    [a, b].map((scrape) => scrape?.values.get('detector_last_run_timestamp_seconds') ?? 0)
  const later = await snapshotWhen('a run of both detectors', { a, b }, (now) =>
    lastRuns(now).every((at, i) => at > (lastRuns(to)[i] ?? 0)),
  )
  return { from, to, later }
}

/** More alerts than the channels take: four are broken, and the only one of another project is gone. Silence is noticed late, too. */
async function failDeliveries({ a, b, databaseUrl, receiver }: Replicas): Promise<Fault> {
  const from = await snapshot({ a, b })
  for (let i = 0; i < brokenChannels; i++) await makeChannel(a.url, `${receiver}/broken`)
  const settings = { channels: '*', timeout: 60, grace: 60 }
  const checks = await Promise.all(
    Array.from({ length: silentChecks }, (_, i) => create(a.url, `silent ${i}`, settings)),
  )
  await Promise.all(checks.map((id) => call(a.url, 'GET', `/ping/${id}`)))
  const before = "now() - interval '10 minutes'"
  await sql(
    databaseUrl,
    `UPDATE checks SET last_ping = ${before}, deadline = ${before}, look_at = ${before} WHERE id = ANY($1)`,
    [checks],
  )

  const admin = { authorization: `Bearer ${adminToken}` }
  const project = (await call(a.url, 'POST', '/api/v3/projects/', { name: 'unreachable' }, admin)).json()
  const key = { 'x-api-key': String(project.api_key) }
  await makeChannel(a.url, `${receiver}/gone`, key)
  await call(a.url, 'GET', `/ping/${await create(a.url, 'unheard', { channels: '*' }, key)}/fail`)

  const to = await snapshotWhen(
    'waiting alerts and a project without a channel',
    { a, b },
    (now) =>
      sum(now, /^queue_length\{queue="deliveries"\}/) > 200 &&
      sum(now, /^unreachable_projects/) > 0 &&
      sum(now, /^circuit_breaker_transitions_total.*webhook.*to="open"/) >= brokenChannels,
  )
  return { from, to }
}

/** Somebody holds a lock on the table of the checks for more than a second. */
async function lockTable({ a, b, databaseUrl }: Replicas): Promise<[during: Fault, afterwards: Fault]> {
  const from = await snapshot({ a, b })
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query('BEGIN; LOCK TABLE checks IN ACCESS EXCLUSIVE MODE')
  const began = performance.now()
  const answers = Array.from({ length: 20 }, () => call(a.url, 'GET', '/api/v3/checks/'))
  const isWaiting = (now: Snapshot) => sum({ a: now.a ?? null }, /^database_connections_waiting/) > 0
  const during = await snapshotWhen('callers that wait for a connection', { a, b }, isWaiting)
  const caller = new AbortController()
  const headers = { 'x-api-key': keys.api_key }
  const givenUp = assert.rejects(fetch(`${a.url}/api/v3/checks/`, { headers, signal: caller.signal }), /aborted/)
  await pause(300)
  caller.abort()
  await givenUp
  await pause(Math.max(0, began + 1300 - performance.now()))
  await client.query('ROLLBACK')
  await client.end()
  await Promise.all(answers)
  return [
    { from, to: during },
    { from, to: await snapshot({ a, b }) },
  ]
}

/** The database goes away, and comes back as one that refuses what the spool holds, and then only a part of it. */
async function stopDatabase(
  { a, b, databaseUrl, proxy }: Replicas,
  job: string,
): Promise<Record<'away' | 'replay' | 'refused', Fault>> {
  const poisoned = await create(a.url, 'poisoned', {})
  // A spool accepts the heartbeats of checks that the replica knows.
  for (const id of [job, poisoned]) await call(b.url, 'GET', `/ping/${id}`)
  const from = await snapshot({ a, b })
  await proxy.set('refuse')
  const refusals = Promise.all(Array.from({ length: 10 }, () => call(a.url, 'GET', `/ping/${job}`)))
  const spooled = await Promise.all([job, poisoned].map((id) => call(b.url, 'GET', `/ping/${id}`)))
  assert.deepEqual(
    spooled.map(({ status }) => status),
    [200, 200],
  )
  assert.deepEqual(new Set((await refusals).map(({ status }) => status)), new Set([503]))
  const to = await snapshotWhen(
    'a replica that is not ready',
    { a, b },
    ({ a = null, b = null }) =>
      sum({ a }, /^app_ready/) === 0 && sum({ a }, /^health_status/) === 2 && sum({ b }, /^data_staleness_seconds/) > 0,
  )
  const older = (now: Snapshot, gauge: RegExp, than: Snapshot) => sum(now, gauge) > sum(than, gauge)
  const later = await snapshotWhen('older heartbeats', { a, b }, (now) => older(now, /^data_staleness_ms/, to))

  await sql(databaseUrl, refusing('heartbeats', `NEW.check_id = '${poisoned}'`))
  await sql(databaseUrl, refusing('quarantined_heartbeats', 'true'))
  await proxy.set('pass')
  const stalled = /^spool_replay_stalled_seconds/
  const failing = await snapshotWhen('a replay that fails', { a, b }, (now) => sum(now, stalled) > 0)
  const longer = await snapshotWhen('one that goes on', { a, b }, (now) => older(now, stalled, failing))
  await sql(databaseUrl, 'DROP TRIGGER refuse ON quarantined_heartbeats')
  const refused = await snapshotWhen('the quarantine', { a, b }, (now) => sum(now, /^quarantined_heartbeats/) > 0)
  return { away: { from, to, later }, replay: { from, to: failing, later: longer }, refused: { from, to: refused } }
}

const refusing = (table: string, condition: string) => `
  CREATE FUNCTION refuse_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF ${condition} THEN RAISE EXCEPTION 'refused' USING ERRCODE = '22023'; END IF; RETURN NEW; END $$;
  CREATE TRIGGER refuse BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse_${table}()`

async function startLate(t: TestContext, { databaseUrl }: Replicas): Promise<Snapshot> {
  await sql(databaseUrl, "UPDATE acceptance SET until_at = until_at - interval '1 minute'")
  const env = { ...environment, DATABASE_URL: databaseUrl, FLATLINE__HEALTH__DISK_DEGRADED_PERCENT: '1' }
  const a = await startService(t, { env })
  return snapshotWhen('blind time and a full disk', { a }, (now) => {
    const isFull = sum(now, /^health_check_status\{check="disk"\}/) === 1
    return isFull && sum(now, /^blind_time_seconds/) > 30
  })
}

// --- what they share -------------------------------------------------------------------------------------------------

async function create(url: string, name: string, settings: object, key?: Record<string, string>): Promise<string> {
  const answer = await call(url, 'POST', '/api/v3/checks/', { name, ...settings }, key)
  assert.equal(answer.status, 201, answer.text)
  return String(answer.json().uuid)
}

async function makeChannel(url: string, target: string, key = { 'x-api-key': keys.api_key } as Record<string, string>) {
  const body = { kind: 'webhook', name: `to ${target} ${crypto.randomUUID()}`, settings: { url: target } }
  const answer = await call(url, 'POST', '/api/v3/channels/', body, key)
  assert.equal(answer.status, 201, answer.text)
}

/** Scrapes as Prometheus does. */
async function snapshot(services: Record<string, Service>): Promise<Snapshot> {
  const scraped = Object.entries(services).map(async ([instance, { url }]) => {
    const text = await fetch(`${url}/metrics`).then(
      (answer) => answer.text(),
      () => null,
    )
    return [instance, text === null ? null : readScrape(text, Date.now() / 1000)] as const
  })
  return Object.fromEntries(await Promise.all(scraped))
}

function snapshotWhen(
  what: string,
  services: Record<string, Service>,
  isSo: (now: Snapshot) => boolean,
): Promise<Snapshot> {
  return eventually(what, async () => {
    const now = await snapshot(services)
    if (isSo(now)) return now
    await pause(pollMs)
  })
}

/** Of all instances. */
function sum(now: Snapshot, series: RegExp): number {
  const values = Object.values(now).flatMap((scrape) => [...(scrape?.values ?? [])])
  return values.reduce((total, [name, value]) => (series.test(name) ? total + value : total), 0)
}
