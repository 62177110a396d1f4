// The history of a check over the API: pings with their durations and bodies, and flips.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, eventually, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'

const versions = ['v1', 'v2', 'v3']
const [ridA, ridB] = ['2c1d0a52-8a44-4d6c-9d1e-0d9f4b7f7a11', '9b8e3a10-55f0-4f5e-8a77-1d2c3b4a5f60']

type Ping = { type: string; n: number; duration?: number; rid: string | null; body_url: string | null }
type Flip = { timestamp: string; up: number }

const create = async ({ call }: Running, body: unknown = {}) =>
  (await call('POST', '/api/v3/checks/', body)).json() as { uuid: string }

const pingsOf = async ({ call }: Running, uuid: string, query = '') =>
  (await call('GET', `/api/v3/checks/${uuid}/pings/${query}`)).json().pings as Ping[]

const flipsOf = async ({ call }: Running, id: string, query = '') =>
  (await call('GET', `/api/v3/checks/${id}/flips/${query}`)).json().flips as Flip[]

test('a ping is listed with the fields of Healthchecks, and its body address has the requested version', async (t) => {
  const running = await build(t)
  const { call, url } = running
  const { uuid } = await create(running)
  await call('POST', `/ping/${uuid}/fail?rid=${ridA}`, 'out of disk', {
    'user-agent': 'cron/1',
    'x-forwarded-for': '10.1.2.3',
  })
  await call('GET', `/ping/${uuid}`, undefined, {})
  for (const version of versions) {
    const path = `/api/${version}/checks/${uuid}/pings/`
    const [plain, failed] = (await call('GET', path)).json().pings as Record<string, unknown>[]
    assert.deepEqual(Object.keys(failed ?? {}), 'type date n scheme remote_addr method ua rid body_url'.split(' '))
    assert.match(String(failed?.date), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/)
    assert.deepEqual(
      { ...failed, date: '' },
      {
        type: 'fail',
        date: '',
        n: 1,
        scheme: 'http',
        remote_addr: '10.1.2.3',
        method: 'POST',
        ua: 'cron/1',
        rid: ridA,
        body_url: `${url}${path}1/body`,
      },
    )
    assert.equal(plain?.body_url, null)
    const body = await call('GET', `${path}1/body`)
    assert.deepEqual([body.status, body.text, body.headers.get('content-type')], [200, 'out of disk', 'text/plain'])
    for (const n of ['2', '3', '0', 'x', '9'.repeat(30)])
      assert.equal((await call('GET', `${path}${n}/body`)).status, 404, n)
  }
})

test('each run has one duration by its rid, whatever comes between, and none without a start', async (t) => {
  const running = await build(t)
  const { call, databaseUrl } = running
  const { uuid } = await create(running, { grace: 3600 })
  const sent = [
    '/0', // without a start
    '/start',
    `/start?rid=${ridA}`,
    `/start?rid=${ridB}`,
    `/log?rid=${ridA}`,
    `?rid=${ridA}`, // 20 s after its start, though another started since
    `/fail?rid=${ridB}`,
    `/3?rid=${ridB}`, // ended already
    '', // since the start without a rid
  ]
  for (const path of sent) await call('GET', `/ping/${uuid}${path}`, undefined, {})
  await sql(
    databaseUrl,
    "UPDATE heartbeats SET received_at = date_trunc('day', received_at) + n * interval '10 seconds', duration_ms = NULL",
  )
  const listed = (await pingsOf(running, uuid)).reverse()
  assert.deepEqual(
    listed.map(({ type, duration }) => [type, duration]),
    [
      ['success', undefined],
      ['start', undefined],
      ['start', undefined],
      ['start', undefined],
      ['log', undefined],
      ['success', 30],
      ['fail', 30],
      ['fail', undefined],
      ['success', 70],
    ],
  )
  const [last] = await pingsOf(running, uuid, '?limit=1')
  assert.deepEqual([last?.n, last?.duration], [9, 70], 'the start lies behind what is listed')
})

test('a start more than 72 hours earlier gives no duration', async (t) => {
  const running = await build(t)
  const { call, databaseUrl } = running
  const { uuid } = await create(running)
  await call('GET', `/ping/${uuid}/start?rid=${ridA}`, undefined, {})
  await sql(
    databaseUrl,
    'CREATE TABLE heartbeats_past PARTITION OF heartbeats FOR VALUES FROM (MINVALUE) TO (current_date - 1)',
  )
  await sql(databaseUrl, "UPDATE heartbeats SET received_at = received_at - interval '72 hours 5 seconds'")
  await call('GET', `/ping/${uuid}/start?rid=${ridB}`, undefined, {})
  await call('GET', `/ping/${uuid}?rid=${ridA}`, undefined, {})
  // The duration that was computed when the heartbeat came does not include the start that this test has moved.
  await sql(databaseUrl, 'UPDATE heartbeats SET duration_ms = NULL')
  const [end] = await pingsOf(running, uuid)
  assert.deepEqual([end?.type, end?.duration], ['success', undefined])
})

test('pings are numbered without gaps and listed newest first, a hundred by default', async (t) => {
  const running = await build(t)
  const { call } = running
  const { uuid } = await create(running)
  for (let i = 0; i < 13; i++)
    await Promise.all(Array.from({ length: 8 }, () => call('GET', `/ping/${uuid}`, undefined, {})))
  const numbers = (pings: Ping[]) => pings.map(({ n }) => n)
  assert.deepEqual(
    numbers(await pingsOf(running, uuid)),
    Array.from({ length: 100 }, (_, i) => 104 - i),
  )
  assert.deepEqual(numbers(await pingsOf(running, uuid, '?limit=3')), [104, 103, 102])
  assert.equal((await pingsOf(running, uuid, '?limit=1000')).length, 104)
  for (const limit of ['0', '1001', '-1', '1.5', 'x', '']) {
    const { status, text } = await call('GET', `/api/v3/checks/${uuid}/pings/?limit=${limit}`)
    assert.deepEqual([status, text], [400, '{"error":"limit is not a whole number from 1 to 1000"}'], limit)
  }
})

/** Flips at the seconds 1000 to 1005 of the epoch, by number from the newest. */
const ranges: [query: string, numbers: number[]][] = [
  ['', [5, 4, 3, 2, 1, 0]],
  ['?start=1003', [5, 4, 3]],
  ['?end=1003', [2, 1, 0]],
  ['?start=1001&end=1003', [2, 1]],
  ['?start=1003&end=1001', []],
  ['?start=0&end=10000000000', [5, 4, 3, 2, 1, 0]],
  ['?end=0', []],
  ['?seconds=0', [5, 4, 3, 2, 1, 0]],
  ['?seconds=', [5, 4, 3, 2, 1, 0]],
  ['?seconds=60', []],
  ['?start=5&start=1004', [5, 4]],
]
const badRanges = [
  'start=',
  'end=',
  'start=x',
  'start=1.5',
  'end=-1',
  'start=10000000001',
  'seconds=31536001',
  'seconds=x',
  'seconds=-1',
]

test('flips are listed newest first in whole seconds, from start (inclusive) to end (exclusive)', async (t) => {
  const running = await build(t)
  const { call, databaseUrl } = running
  const { uuid } = await create(running)
  for (const path of ['', '/fail', '']) await call('GET', `/ping/${uuid}${path}`, undefined, {})
  await call('POST', `/api/v3/checks/${uuid}/pause`)
  await call('POST', `/api/v3/checks/${uuid}/resume`)
  await call('GET', `/ping/${uuid}/fail`, undefined, {})
  const flips = await flipsOf(running, uuid)
  assert.deepEqual(
    flips.map(({ up }) => up),
    [0, 0, 0, 1, 0, 1],
  )
  assert.deepEqual(Object.keys(flips[0] ?? {}), ['timestamp', 'up'])
  assert.equal((await flipsOf(running, uuid, '?seconds=60')).length, 6)

  await sql(databaseUrl, "UPDATE flips SET at = to_timestamp(999 + seq) + interval '0.5 s' * (seq % 2)")
  const key = (await call('GET', '/api/v3/checks/', undefined, { 'x-api-key': keys.api_key_readonly })).json()
  const [{ unique_key }] = key.checks as [{ unique_key: string }]
  for (const id of [uuid, unique_key]) {
    for (const [query, numbers] of ranges) {
      const seen = (await flipsOf(running, id, query)).map(({ timestamp }) => timestamp)
      assert.deepEqual(
        seen,
        numbers.map((n) => `1970-01-01T00:16:4${n}+00:00`),
        query,
      )
    }
    for (const query of badRanges) {
      const { status, text } = await call('GET', `/api/v3/checks/${id}/flips/?${query}`)
      assert.deepEqual([status, text], [400, ''], query)
    }
  }
  assert.equal((await call('GET', `/api/v3/checks/${crypto.randomUUID()}/flips/`)).status, 404)
})

test('the flip of a missed deadline is dated at the deadline, and thousands of flips are listed', async (t) => {
  const running = await build(t)
  const { call, databaseUrl } = running
  const { uuid } = await create(running, { timeout: 1, grace: 1 })
  await call('GET', `/ping/${uuid}`, undefined, {})
  const lastPing = Date.parse(String((await call('GET', `/api/v3/checks/${uuid}`)).json().last_ping))
  const down = await eventually('the flip', async () => (await flipsOf(running, uuid)).find(({ up }) => up === 0))
  assert.equal(Date.parse(down.timestamp) - lastPing, 2000)
  await sql(
    databaseUrl,
    `INSERT INTO flips (check_id, seq, project_id, at, "from", "to", reason, processed_at)
     SELECT '${uuid}', seq, (SELECT id FROM projects), now(), 'up', 'down', 'timeout', now() FROM generate_series(3, 5000) AS seq`,
  )
  assert.equal((await flipsOf(running, uuid)).length, 5000)
})
