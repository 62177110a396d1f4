// Bodies within the quotas of their check and project. Every heartbeat is kept and counted, with or without its body.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queryable } from '../../../src/database/connection/client.ts'
import { createBodies } from '../../../src/ingest/history/bodies.ts'
import { openToBodies } from '../../../src/ingest/history/bodies-store.ts'
import { adminToken, build, eventually, keys, type Running } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { received } from '../received.ts'

type Ping = { n: number; type: string; body_url: string | null }

async function makeCheck({ call }: Running, fields: object = {}): Promise<string> {
  return String((await call('POST', '/api/v3/checks/', { name: 'job', ...fields })).json().uuid)
}

const pings = async ({ call }: Running, uuid: string) =>
  (await call('GET', `/api/v3/checks/${uuid}/pings/?limit=1000`)).json().pings as Ping[]

/** Of a check, or of all: bytes as they are, as the check's row counts them, and as its project does. */
async function bytesOf({ databaseUrl }: Running) {
  const [row] = await sql<{ kept: string; counted: string; used: string }>(
    databaseUrl,
    `SELECT (SELECT coalesce(sum(octet_length(body)), 0) FROM heartbeat_bodies) AS kept, (SELECT sum(body_bytes) FROM checks) AS counted,
       (SELECT coalesce(sum(bytes), 0) FROM body_usage) AS used`,
  )
  return { kept: Number(row?.kept), counted: Number(row?.counted), used: Number(row?.used) }
}

const settled = (running: Running) =>
  eventually('the counts to agree with what is kept', async () => {
    const { kept, counted, used } = await bytesOf(running)
    return kept === counted && kept === used && { kept }
  })

test('a check keeps its newest bodies within its quota, whatever their source, and every heartbeat', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__BODY_BYTES_PER_CHECK: '20000' })
  const { call } = running
  const uuid = await makeCheck(running)
  const other = await makeCheck(running)
  await call('POST', `/ping/${other}`, 'x'.repeat(9000), {})
  const body = (n: number) => String(n).padEnd(1000, '.')
  for (let n = 1; n <= 60; n++) {
    const how = n % 4
    if (how === 0) await call('POST', '/api/v3/heartbeats/', [{ check: uuid, body: body(n) }])
    else await call('POST', `/ping/${uuid}${['', '/fail', '/log'][how - 1]}`, body(n), {})
  }
  const { kept } = await settled(running)
  assert.ok(kept >= 9000 + 17_000 && kept <= 9000 + 20_000, `${kept} bytes`)
  const listed = await pings(running, uuid)
  assert.deepEqual(
    listed.map(({ n }) => n),
    Array.from({ length: 60 }, (_, i) => 60 - i),
  )
  const withBody = listed.filter(({ body_url: url }) => url !== null).map(({ n }) => n)
  assert.deepEqual(
    withBody,
    Array.from({ length: withBody.length }, (_, i) => 60 - i),
    'the newest',
  )
  const read = (n: number) => call('GET', `/api/v3/checks/${uuid}/pings/${n}/body`)
  assert.equal((await read(60)).text, body(60))
  assert.equal((await read(1)).status, 404)
  // A step that began before the last bodies came may still remove one.
  await eventually('what people are told to agree with what is kept', async () => {
    const { quota } = (await call('GET', '/api/v3/quota/')).json() as { quota: Record<string, { used?: number }> }
    const metrics = (await call('GET', '/metrics', undefined, {})).text
    const dropped = Number(/bodies_dropped_total\{quota="check"\} (\d+)/.exec(metrics)?.[1])
    const bodies = (await pings(running, uuid)).filter(({ body_url: url }) => url !== null).length
    return quota.body_bytes?.used === 9000 + bodies * 1000 && dropped === 60 - bodies
  })
})

test('a flood of bodies is limited before the oldest are removed', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__BODY_BYTES_PER_CHECK: '100000' })
  const { call } = running
  const uuid = await makeCheck(running)
  let most = 0
  for (let round = 0; round < 20; round++) {
    const batch = Array.from({ length: 20 }, () => call('POST', `/ping/${uuid}`, 'x'.repeat(50_000), {}))
    for (const { status } of await Promise.all(batch)) assert.equal(status, 200)
    most = Math.max(most, (await bytesOf(running)).kept)
  }
  // The quota three times, and what was under way when that was noticed: 20 at once.
  assert.ok(most <= 300_000 + 2 * 20 * 50_000, `${most} bytes of 20 MB`)
  const { kept } = await settled(running)
  assert.ok(kept <= 100_000, `${kept} bytes in the end`)
  assert.equal((await pings(running, uuid)).length, 400)
  await call('POST', `/ping/${uuid}`, 'after the flood', {})
  const [last] = await pings(running, uuid)
  assert.ok(last?.body_url)
})

test('a project over its quota keeps its heartbeats without bodies until there is room', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__BODY_BYTES: '5000' })
  const { call, databaseUrl } = running
  const uuid = await makeCheck(running)
  const filtered = await makeCheck(running, { filter_http_body: true, failure_kw: 'BAD' })
  for (let n = 1; n <= 6; n++) await call('POST', `/ping/${uuid}`, 'x'.repeat(1000), {})
  const keepsBody = async (suffix = '') => {
    await call('POST', `/ping/${uuid}${suffix}`, 'x'.repeat(100), {})
    return (await pings(running, uuid))[0]?.body_url !== null
  }
  for (const suffix of ['', '/fail', '', '/start', '/0'])
    await eventually(`no body of ${suffix}`, async () => !(await keepsBody(suffix)))
  const before = (await bytesOf(running)).kept
  await call('POST', `/ping/${filtered}`, 'BAD', {})
  const [ping] = await pings(running, filtered)
  assert.deepEqual([ping?.type, ping?.body_url], ['fail', null], 'what a body says counts all the same')
  assert.equal((await bytesOf(running)).kept, before)

  const other = (
    await call('POST', '/api/v3/projects/', { name: 'other' }, { authorization: `Bearer ${adminToken}` })
  ).json()
  const theirs = (await call('POST', '/api/v3/checks/', {}, { 'x-api-key': String(other.api_key) })).json()
  await call('POST', `/ping/${theirs.uuid}`, 'kept', {})
  assert.equal((await bytesOf(running)).kept, before + 4, 'other projects are not concerned')

  const [row] = await sql<{ id: string }>(databaseUrl, "SELECT id FROM projects WHERE name = 'default'")
  const raised = { quota: { body_bytes: 1_000_000 } }
  await call('PATCH', `/api/v3/projects/${row?.id}/`, raised, { authorization: `Bearer ${adminToken}` })
  await eventually('bodies to be kept again', () => keepsBody())
  await settled(running)
  assert.ok((await call('GET', `/ping/${keys.ping_key}/x`, undefined, {})).status === 404)
})

test('a count that is too large after retention is corrected, and no body is removed', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__BODY_BYTES_PER_CHECK: '10000' })
  const { call, databaseUrl } = running
  const uuid = await makeCheck(running)
  await call('POST', `/ping/${uuid}`, 'x'.repeat(1000), {})
  await sql(databaseUrl, 'UPDATE checks SET body_bytes = 50000')
  await call('POST', `/ping/${uuid}`, 'x'.repeat(500), {})
  await eventually('the count', async () => (await bytesOf(running)).counted === 1500)
  assert.equal((await settled(running)).kept, 1500)
})

test('bodies that arrive while the oldest are being removed are counted once', async (t) => {
  const running = await build(t)
  const { app, call } = running
  const uuid = await makeCheck(running)
  const send = () => call('POST', `/ping/${uuid}`, 'x'.repeat(1000), {})
  for (let n = 0; n < 5; n++) await send()
  // A body arrives after each of these statements.
  const interrupted = new Set(['bodies_total', 'bodies_page'])
  const query: Queryable['query'] = async (statement, params) => {
    const rows = await app.database.query(statement, params)
    if (interrupted.delete(String(statement.name))) await send()
    return rows as never
  }
  const bodies = createBodies({
    database: { query, transaction: app.database.transaction },
    quotas: { ofMany: async () => new Map(), defaults: { ...app.quotas.defaults, body_bytes_per_check: 3000 } },
    count: () => {},
    onFull: () => {},
  })
  const [row] = await sql<{ project_id: string }>(running.databaseUrl, 'SELECT project_id FROM checks')
  const look = async () => {
    bodies.wrote([{ checkId: uuid, projectId: String(row?.project_id), total: 5000 }], new Map(), openToBodies)
    await bodies.step(new AbortController().signal)
    const { kept, counted } = await bytesOf(running)
    return { kept, counted }
  }
  assert.deepEqual(await look(), { kept: 3000, counted: 3000 })
  assert.deepEqual(await look(), { kept: 2000, counted: 2000 })

  await sql(running.databaseUrl, 'UPDATE checks SET body_bytes = 50000')
  interrupted.add('bodies_page')
  assert.deepEqual(await look(), { kept: 3000, counted: 51_000 }, 'never too little')
  assert.deepEqual(await look(), { kept: 2000, counted: 50_000 })
  assert.deepEqual(await look(), { kept: 2000, counted: 2000 })
  await settled(running)
})

test('a body that was written just before its check was closed counts for its project', async (t) => {
  const running = await build(t)
  const { app, call } = running
  const uuid = await makeCheck(running)
  const dropped: string[] = []
  const bodies = createBodies({
    database: app.database,
    quotas: { ofMany: async () => new Map(), defaults: { ...app.quotas.defaults, body_bytes_per_check: 1000 } },
    count: (quota) => dropped.push(quota),
    onFull: () => {},
  })
  const projectId = String((await sql<{ id: string }>(running.databaseUrl, 'SELECT id FROM projects'))[0]?.id)
  const body = Buffer.from('x'.repeat(100))
  const byCheck = new Map([[uuid, [received({ checkId: uuid, body, at: app.database.clock.now() })]]])
  const written = [{ checkId: uuid, projectId, total: 100_000 }]
  // Two batches are under way. The first that ends closes the check.
  const closed = bodies.closed()
  bodies.wrote(written, byCheck, closed)
  assert.ok(bodies.closed().checks.has(uuid))
  bodies.wrote(written, byCheck, closed)
  bodies.wrote([], byCheck, bodies.closed())
  await bodies.step(new AbortController().signal)
  assert.equal((await bytesOf(running)).used, 200)
  assert.deepEqual(dropped, ['check'])
  assert.equal(bodies.closed().checks.size, 0)
  const { quota } = (await call('GET', '/api/v3/quota/')).json() as { quota: Record<string, { used?: number }> }
  assert.equal(quota.body_bytes?.used, 200)
})
