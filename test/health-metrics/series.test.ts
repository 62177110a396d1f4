import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampledMetrics } from '../../src/health-metrics/service.ts'
import { adminToken, build, call as callAt, createReceiver, eventually, keys } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

const start = Date.UTC(2026, 10, 22, 12, 0, 0)
const path = '/api/v3/health-metrics'
const admin = { authorization: `Bearer ${adminToken}` }

async function seed(databaseUrl: string, rows: [afterS: number, value: number, tags: Record<string, string>][]) {
  for (const [afterS, value, tags] of rows) {
    await sql(
      databaseUrl,
      "INSERT INTO health_metrics (timestamp, metric_name, metric_value, tags) VALUES ($1, 'planted', $2, $3)",
      [new Date(start + afterS * 1000), value, JSON.stringify(tags)],
    )
  }
}

test('a series has minimum, average and maximum of each step, also of processes that have ended', async (t) => {
  const databaseUrl = await createDatabase(t)
  await seed(databaseUrl, [
    [0, 1, { node: 'a', queue: 'x' }],
    [29.999, 3, { node: 'b', queue: 'x' }],
    [30, 10, { node: 'a', queue: 'y' }],
    [95, 7, { node: 'a', queue: 'x' }],
  ])
  const { call } = await build(t, { DATABASE_URL: databaseUrl })
  const series = async (query: string, headers: Record<string, string> = admin) => {
    const answer = await call('GET', `${path}/?name=planted&from=${start / 1000}${query}`, undefined, headers)
    assert.equal(answer.status, 200, answer.text)
    return answer.json()
  }
  const at = (afterS: number) => start / 1000 + afterS
  const to = `&to=${encodeURIComponent('2026-11-22T12:02:00+00:00')}`
  assert.deepEqual(await series(`${to}&step=30`), {
    name: 'planted',
    step: 30,
    points: [
      [at(0), 1, 2, 3],
      [at(30), 10, 10, 10],
      [at(90), 7, 7, 7],
    ],
  })
  assert.deepEqual((await series(`${to}&step=60`)).points, [
    [at(0), 1, 14 / 3, 10],
    [at(60), 7, 7, 7],
  ])
  assert.deepEqual((await series(`${to}&step=30&tags=node:a,queue:x`)).points, [
    [at(0), 1, 1, 1],
    [at(90), 7, 7, 7],
  ])
  assert.deepEqual((await series(`${to}&step=30&tags=node:a&tags=queue:y`)).points, [[at(30), 10, 10, 10]])
  assert.deepEqual((await series(`&to=${at(95)}&step=30`)).points, [
    [at(0), 1, 2, 3],
    [at(30), 10, 10, 10],
  ])
  assert.equal((await series(to)).step, 15, 'no finer than it is sampled')
  for (const key of [keys.api_key, keys.api_key_readonly]) {
    assert.equal(((await series(`${to}&step=30`, { 'x-api-key': key })).points as unknown[]).length, 3)
  }
})

test('the table has the documented columns, and refuses a name of more than 100 characters', async (t) => {
  const url = await createDatabase(t)
  const columns = await sql(
    url,
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required
     FROM pg_attribute WHERE attrelid = 'health_metrics'::regclass AND attnum > 0 ORDER BY attnum`,
  )
  assert.deepEqual(columns, [
    { name: 'id', type: 'bigint', required: true },
    { name: 'timestamp', type: 'timestamp(3) with time zone', required: true },
    { name: 'metric_name', type: 'character varying(100)', required: true },
    { name: 'metric_value', type: 'double precision', required: true },
    { name: 'tags', type: 'jsonb', required: false },
  ])
  const insert = 'INSERT INTO health_metrics (timestamp, metric_name, metric_value) VALUES (now(), $1, 1)'
  await sql(url, insert, ['x'.repeat(100)])
  await assert.rejects(sql(url, insert, ['x'.repeat(101)]), { code: '22001' })
})

test('an invalid query is answered with the field and the rule', async (t) => {
  const { url } = await build(t)
  const table: [query: string, field: string, rule: RegExp][] = [
    ['', 'name', /name is required/],
    ['name=x&from=yesterday', 'from', /unix seconds or an ISO 8601 instant/],
    ['name=x&from=200&to=100', 'from', /before to/],
    ['name=x&step=0', 'step', /1/],
    ['name=x&from=1&to=1000000&step=1', 'step', /at least 91 /],
    ['name=x&tags=node', 'tags', /key:value/],
    ['name=x&nme=y', 'nme', /not a known field/],
  ]
  for (const [query, field, rule] of table) {
    const answer = await callAt(url, 'GET', `${path}/?${query}`)
    assert.deepEqual([answer.status, answer.json().field], [400, field], `${query}: ${answer.text}`)
    assert.match(String(answer.json().error), rule)
  }
  for (const headers of [{}, { 'x-api-key': 'x'.repeat(32) }, { 'x-api-key': keys.ping_key }] as Record<
    string,
    string
  >[]) {
    assert.equal((await callAt(url, 'GET', `${path}/names/`, undefined, headers)).status, 401)
  }
})

test('every recorded metric has a series, which sums over projects and names none', async (t) => {
  const env = { FLATLINE__HEALTH_METRICS__INTERVAL_MS: '200', ALLOW_PRIVATE_TARGETS: 'true' }
  const { call, databaseUrl } = await build(t, env)
  const { url } = await createReceiver(t)
  const other = (await call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()
  for (const key of [keys.api_key, String(other.api_key)]) {
    const headers = { 'x-api-key': key }
    await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url } }, headers)
    const { uuid } = (await call('POST', '/api/v3/checks/', { channels: '*' }, headers)).json()
    await call('GET', `/ping/${uuid}/fail`, undefined, {})
  }
  const latest = async (name: string, tags = '') => {
    const { points } = (await call('GET', `${path}?name=${name}${tags}`)).json() as { points: number[][] }
    return points.at(-1)?.at(-1)
  }
  await eventually('the samples of both alerts', async () => {
    const received = await latest('heartbeats_received_total', '&tags=kind:fail,outcome:recorded')
    const sent = await latest('deliveries_total', '&tags=outcome:sent')
    return received === 2 && sent === 2
  })
  const { names } = (await call('GET', `${path}/names`)).json() as { names: string[] }
  const isSampled = (name: string) =>
    names.includes(name) || ['_sum', '_count'].every((part) => names.includes(name + part))
  assert.deepEqual(
    sampledMetrics.filter((name) => !isSampled(name)),
    [],
  )
  const known = sampledMetrics.flatMap((name) => [name, `${name}_sum`, `${name}_count`])
  assert.deepEqual(
    names.filter((name) => !known.includes(name)),
    [],
  )
  assert.ok(Number(await latest('process_resident_memory_bytes')) > 10_000_000)
  const tagged = await sql<{ tags: Record<string, string> }>(databaseUrl, 'SELECT DISTINCT tags FROM health_metrics')
  assert.deepEqual(
    tagged.filter(({ tags }) => 'tenant' in tags || 'le' in tags),
    [],
  )
})
