// Background writers go on after an entry that the database refuses for good: only that one is lost, and logged.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRetention } from '../src/retention/service.ts'
import { createServiceAlerts } from '../src/service-alerts/service.ts'
import { build, createReceiver, eventually, type Running } from './helper.ts'
import { sql } from './postgres.ts'

/** Rows of a table for which the condition on NEW holds cannot be written. */
async function refuse({ databaseUrl }: Running, table: string, condition: string): Promise<void> {
  await sql(
    databaseUrl,
    `CREATE FUNCTION refuse_${table}() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN IF ${condition} THEN RAISE EXCEPTION USING ERRCODE = ''22P02''; END IF; RETURN NEW; END'`,
  )
  await sql(
    databaseUrl,
    `CREATE TRIGGER refuse_${table} BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse_${table}()`,
  )
}

test('failed authentications and operator entries are written after a refused one', async (t) => {
  const running = await build(t)
  await refuse(running, 'audit', "NEW.target = ''bad''")
  const { audit } = running.app
  const failure = { reason: 'wrong_key', projectId: '', requestId: '' }
  audit.authFailure({ ...failure, address: 'bad' })
  audit.authFailure({ ...failure, address: 'no address at all' })
  audit.authFailure({ ...failure, address: '203.0.113.9' })
  await audit.record({ actor: 'admin', action: 'test', target: 'bad' })
  await audit.record({ actor: 'admin', action: 'test', target: 'good' })
  await eventually('what came after', async () => {
    const rows = await sql<{ target: string }>(
      running.databaseUrl,
      "SELECT target FROM audit WHERE action IN ('test', 'auth.failure')",
    )
    const targets = rows.map(({ target }) => target)
    return targets.includes('203.0.113.9') && targets.includes('good')
  })
})

test('alerts of other checks are created while those of one check are refused', async (t) => {
  const running = await build(t)
  const receiver = await createReceiver(t)
  const { call } = running
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: receiver.url } })
  const made = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => (await call('POST', '/api/v3/checks/', { name, channels: '*' })).json().uuid),
  )
  await refuse(running, 'deliveries', `NEW.subject_id = ''${made[1]}''`)
  await Promise.all(made.map((uuid) => call('POST', `/ping/${uuid}/fail`, undefined, {})))
  await eventually('the other two', () => receiver.received.length === 2)
  await call('POST', `/ping/${made[0]}`, undefined, {})
  await eventually('a recovery after that', () => receiver.received.length === 3)
  const [left] = await sql<{ n: string }>(
    running.databaseUrl,
    'SELECT count(*) AS n FROM flips WHERE processed_at IS NULL AND check_id = $1',
    [made[1]],
  )
  assert.equal(Number(left?.n), 1, 'what was refused waits, and is lost to nobody')
})

test('alerts about the service itself are written after a refused one', async (t) => {
  const running = await build(t)
  const { database } = running.app
  await refuse(running, 'service_alerts', "NEW.level = ''INFO''")
  const logged: object[] = []
  const calm = { requests: 0, errorRate: 0, availability: 1, p95: null, p99: null }
  const figures = {
    minute: calm,
    twoMinutes: calm,
    fiveMinutes: calm,
    hour: calm,
    stalenessMs: 0,
    unreachableProjects: 0,
    memoryPercent: null,
    trend: { cpuShare: null, heapUsedBytes: null, databaseFailures: 0, databaseFailureShare: null, waiting: 0 },
  }
  let openBreakers = ['pigeon']
  const alerts = createServiceAlerts({
    database,
    node: 'test',
    targets: {
      availability: 0.9,
      latencyP95Ms: 500,
      maxStalenessMs: 1000,
      memoryWarnPercent: 80,
      memoryDegradedPercent: 90,
      heapLimitBytes: 1,
      cpuLimitCores: 1,
    },
    calmMs: 0,
    read: async () => ({ ...figures, openBreakers, health: 'healthy', unhealthyChecks: [] }),
    notify: async () => {},
    log: { info() {}, warn() {}, error: (line) => void logged.push(line) },
    now: Date.now,
  })
  await alerts.look()
  assert.equal(logged.length, 1)
  openBreakers = []
  await alerts.look()
  const { alerts: kept } = await alerts.list(null, 10)
  assert.deepEqual(
    kept.filter(({ node }) => node === 'test').map(({ level }) => level),
    ['RESOLVED'],
  )
})

test('every table is swept although one of them cannot be', async (t) => {
  const { app, databaseUrl } = await build(t)
  await sql(
    databaseUrl,
    "INSERT INTO audit (at, actor, action, target) VALUES (now() - interval '2 years', 'a', 'b', 'old')",
  )
  await sql(databaseUrl, 'ALTER TABLE flips RENAME TO gone')
  const days = {
    heartbeats: 400,
    flips: 1,
    deliveries: 1,
    audit: 400,
    health_metrics: 1,
    heartbeat_keys: 1,
    quarantined_heartbeats: 400,
    blind_windows: 1,
  }
  const log = { info() {}, warn() {} }
  const retention = createRetention({ database: app.database, days, count() {}, log })
  await assert.rejects(retention.sweep(new AbortController().signal), /flips/)
  assert.deepEqual(await sql(databaseUrl, "SELECT FROM audit WHERE target = 'old'"), [])
})
