// A database that accepts connections but does not answer, or answers late: there is no error, and a load balancer must
// not lose every replica.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFaultProxy } from '../../fault-proxy.ts'
import { createPostgres } from '../../faults/postgres.ts'
import { adminToken, build, call, eventually, keys } from '../../helper.ts'
import { beatS, pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { startService } from '../service.ts'

/** Longer than the longest time-out of a statement. */
const frozenMs = 14_000
const pauseMs = 100

test('pings are answered soon and recorded later while PostgreSQL is frozen, and readiness holds', async (t) => {
  const postgres = await createPostgres(t)
  const { url } = await startService(t, { env: { DATABASE_URL: postgres.url } })
  const uuid = String((await call(url, 'POST', '/api/v3/checks/', { slug: 'job', timeout: 3600 })).json().uuid)
  await call(url, 'GET', `/ping/${uuid}`)
  await postgres.freeze()
  const pings: { status: number; ms: number; rid: string }[] = []
  const probes: number[] = []
  const managed: { status: number; retryAfter: string | null; ms: number }[] = []
  const under: Promise<unknown>[] = []
  const timed = async <T>(work: Promise<T>) => {
    const began = performance.now()
    return { ...(await work), ms: performance.now() - began }
  }
  const began = performance.now()
  for (let n = 0; performance.now() - began < frozenMs; n++) {
    const rid = crypto.randomUUID()
    const address = n % 2 ? uuid : `${keys.ping_key}/job`
    under.push(
      timed(call(url, 'GET', `/ping/${address}?rid=${rid}`)).then(({ status, ms }) => pings.push({ status, ms, rid })),
    )
    under.push(call(url, 'GET', '/health/ready').then(({ status }) => probes.push(status)))
    if (n % 10 === 0)
      under.push(
        timed(call(url, 'GET', '/api/v3/checks/')).then(({ status, headers, ms }) =>
          managed.push({ status, retryAfter: headers.get('retry-after'), ms }),
        ),
      )
    await pause(pauseMs)
  }
  await Promise.all(under)
  await postgres.thaw()
  assert.deepEqual([...new Set(probes)], [200])
  assert.deepEqual([...new Set(pings.map(({ status }) => status))], [200])
  assert.deepEqual([...new Set(managed.map(({ status }) => status))], [503])
  assert.ok(managed.every(({ retryAfter }) => retryAfter !== null))
  const slowest = (some: { ms: number }[]) => Math.round(Math.max(...some.map(({ ms }) => ms)))
  t.diagnostic(`slowest ping ${slowest(pings)} ms, slowest call ${slowest(managed)} ms, of ${pings.length} pings`)
  const late = pings.slice(pings.length / 2)
  assert.ok(slowest(pings) < 9000, 'no ping waits for the longest time-out there is')
  assert.ok(slowest(late) < 2000, 'once it is known to hang nobody waits for it')
  await eventually(
    'everything in the database',
    async () => {
      const [row] = await sql<{ n: string }>(
        postgres.url,
        'SELECT count(DISTINCT rid) AS n FROM heartbeats WHERE rid = ANY($1)',
        [pings.map(({ rid }) => rid)],
      )
      return Number(row?.n) === pings.length
    },
    60_000,
  )
  const [twice] = await sql<{ n: string }>(
    postgres.url,
    'SELECT count(*) - count(DISTINCT rid) AS n FROM heartbeats WHERE rid IS NOT NULL',
  )
  assert.equal(twice?.n, '0')
})

test('a database that answers after two seconds makes no replica unready, in either mode', async (t) => {
  for (const mode of ['consistent', 'available']) {
    const proxy = await createFaultProxy(t, await createDatabase(t))
    const { call: ask } = await build(t, { DATABASE_URL: proxy.url, INGEST_MODE: mode })
    const uuid = String((await ask('POST', '/api/v3/checks/', { timeout: 3600 })).json().uuid)
    await ask('GET', `/ping/${uuid}`)
    await proxy.set('slow')
    for (let n = 0; n < 10; n++) {
      const [ready, health] = await Promise.all([ask('GET', '/health/ready'), ask('GET', '/health')])
      assert.deepEqual([ready.status, health.status], [200, 200], `${mode}: ${ready.text} ${health.text}`)
      await pause(1000)
    }
    await proxy.set('pass')
  }
})

test('in consistent mode silence is detected and settings change although each answer takes 2 s', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const { call: ask } = await build(t, {
    DATABASE_URL: proxy.url,
    INGEST_MODE: 'consistent',
    FLATLINE__DATABASE__POOL_MAX: '20',
  })
  const make = async (settings: object) => String((await ask('POST', '/api/v3/checks/', settings)).json().uuid)
  const silent = await make({ timeout: 5, grace: 5 })
  const beating = await make({ timeout: 60 * beatS, grace: 60 })
  const changed = await make({ timeout: 3600 })
  for (const uuid of [silent, beating]) await ask('GET', `/ping/${uuid}`)
  await proxy.set('slow')
  const pings: Promise<number>[] = []
  const beat = () => pings.push(ask('GET', `/ping/${beating}`).then(({ status }) => status))
  const wentDown = () =>
    sql<{ id: string }>(databaseUrl, `SELECT check_id AS id FROM flips WHERE "to" = 'down'`).then((flips) =>
      flips.map(({ id }) => id),
    )
  await eventually('the silent check to be down', async () => {
    beat()
    await pause(2000)
    return (await wentDown()).length > 0
  })
  const answer = await ask('POST', `/api/v3/checks/${changed}`, { name: 'other' })
  assert.deepEqual([answer.status, answer.json().name], [200, 'other'])
  const statuses = new Set(await Promise.all(pings))
  assert.ok(statuses.has(200) && [...statuses].every((status) => [200, 503].includes(status)), [...statuses].join())
  assert.deepEqual(await wentDown(), [silent])
  await proxy.set('pass')
})

test('a call whose statement takes too long is answered 503 with Retry-After', async (t) => {
  const running = await build(t, { FLATLINE__DATABASE__STATEMENT_TIMEOUT_MS: '200' })
  const uuid = String((await running.call('POST', '/api/v3/checks/', { timeout: 3600 })).json().uuid)
  for (const table of ['checks', 'channels', 'projects', 'maintenance_windows', 'deliveries'])
    await sql(
      running.databaseUrl,
      `ALTER TABLE ${table} RENAME TO slow_${table}; CREATE VIEW ${table} AS SELECT * FROM slow_${table} WHERE pg_sleep(1) IS NOT NULL`,
    )
  const admin = { authorization: `Bearer ${adminToken}` }
  const calls: [string, string, unknown?, Record<string, string>?][] = [
    ['GET', '/api/v3/checks/'],
    ['GET', `/api/v3/checks/${uuid}`],
    ['POST', `/api/v3/checks/${uuid}`, { name: 'other' }],
    ['GET', '/api/v3/channels/'],
    ['GET', '/api/v3/maintenance/'],
    ['GET', '/api/v3/deliveries/'],
    ['GET', '/api/v3/projects/', undefined, admin],
  ]
  await sql(
    running.databaseUrl,
    `INSERT INTO slow_channels (id, project_id, kind, name, settings) SELECT gen_random_uuid(), id, 'email', 'x', '' FROM slow_projects`,
  )
  for (const [method, path, body, headers] of calls) {
    const answer = await running.call(method, path, body, headers)
    if (answer.status === 200) continue
    assert.equal(answer.status, 503, `${method} ${path} ${answer.text}`)
    assert.ok(answer.headers.get('retry-after'))
  }
  assert.equal((await running.call('GET', '/api/v3/checks/')).status, 503)
  assert.equal((await running.call('GET', '/api/v3/projects/', undefined, admin)).status, 503)
})
