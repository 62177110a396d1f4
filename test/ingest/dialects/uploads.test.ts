import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { parseEntry, splitEntries } from '../../../src/ingest/dialects/uploads/entries.ts'
import { build, eventually, keys, type Running } from '../../helper.ts'
import { sql } from '../../postgres.ts'

const path = '/api/v3/heartbeats/'
const now = Date.UTC(2026, 10, 24, 12)

test('an array is split at its own commas, whatever its strings contain', () => {
  const elements = ['{"a":"],[\\"{"}', ' [1,[2,{"b":3}]] ', '"x,\\\\"', '4']
  assert.deepEqual(splitEntries(` [${elements.join(',')}]\n`), elements)
  assert.deepEqual(splitEntries('[]'), [])
})

test('an incomplete array is refused', () => {
  for (const text of ['[', '[1', '[1,]', '[,1]', '[1]]', '[1] x', '[{"a":}]', '[{"a":1]', '["x', '[1 2]'])
    assert.equal(splitEntries(text), null, text)
})

test('an entry that breaks a rule is rejected with the name of its field', () => {
  const check = 'job'
  const cases: [unknown, string][] = [
    [7, 'must be an object'],
    [{}, 'check must be the uuid or the slug of a check'],
    [{ check, kind: 'maybe' }, 'kind must be one of success, start, fail, log'],
    [{ check, exit_status: 256 }, 'exit_status must be a whole number from 0 to 255'],
    [{ check, exit_status: '1' }, 'exit_status must be a whole number from 0 to 255'],
    [{ check, rid: 'x' }, 'rid must be a uuid'],
    [{ check, body: 1 }, 'body must be a string'],
    [{ check, id: '' }, 'id must be a string of 1 to 100 characters'],
    [{ check, at: 'yesterday' }, 'at must be an ISO 8601 instant with a time zone'],
    [{ check, at: 5 }, 'at must be an ISO 8601 instant with a time zone'],
    [{ check, at: '2026-11-17T11:59:59Z' }, 'at must not be more than 7 days ago'],
    [{ check, at: '2026-11-24T12:05:01Z' }, 'at must not be more than 5 minutes ahead'],
    [{ check, colour: 'red' }, 'colour is not a field of a heartbeat'],
  ]
  for (const [entry, error] of cases) assert.deepEqual(parseEntry(JSON.stringify(entry), now), { error })
  assert.deepEqual(parseEntry('{"check"', now), { error: 'is not JSON' })
})

test('an exit status sets the kind, and a time slightly in the future counts as now', () => {
  const kindOf = (entry: object) =>
    parseEntry(JSON.stringify({ check: 'job', ...entry }), now) as { kind: string; at: number | null }
  assert.equal(kindOf({}).kind, 'success')
  assert.equal(kindOf({ exit_status: 0 }).kind, 'success')
  assert.equal(kindOf({ exit_status: 3 }).kind, 'fail')
  assert.equal(kindOf({ exit_status: 3, kind: 'log' }).kind, 'log')
  assert.equal(kindOf({}).at, null)
  assert.equal(kindOf({ at: '2026-11-24T12:04:00Z' }).at, now)
})

test('an upload works by uuid or slug, as an array or as lines, with an API key or the ping key', async (t) => {
  const running = await build(t)
  const uuid = await createCheck(running, 'nightly')
  const entries = [{ check: uuid }, { check: 'nightly', kind: 'fail' }, { check: 'nowhere' }]
  const expected = { accepted: 2, duplicates: 0, rejected: [{ index: 2, error: 'check not found' }] }
  assert.deepEqual((await running.call('POST', path, entries)).json(), expected)
  const lines = [...entries.slice(0, 2).map((entry) => JSON.stringify(entry)), '{"check": broken'].join('\n')
  const byPingKey = await running.call('POST', path.slice(0, -1), lines, { 'x-api-key': keys.ping_key })
  assert.deepEqual(byPingKey.json(), { ...expected, rejected: [{ index: 2, error: 'is not JSON' }] })
  const kinds = await sql<{ kind: string }>(running.databaseUrl, 'SELECT kind FROM heartbeats ORDER BY n')
  assert.deepEqual(
    kinds.map(({ kind }) => kind),
    ['success', 'fail', 'success', 'fail'],
  )
})

test('a retried upload counts once, also within one upload and in parallel', async (t) => {
  const running = await build(t)
  const uuid = await createCheck(running, 'device')
  const entries = Array.from({ length: 300 }, (_, i) => ({
    check: uuid,
    id: `beat ${i % 250}`,
    rid: crypto.randomUUID(),
  }))
  const answers = await Promise.all(Array.from({ length: 4 }, () => running.call('POST', path, entries)))
  const sums = answers.map((answer) => answer.json() as { accepted: number; duplicates: number; rejected: unknown[] })
  assert.equal(
    sums.reduce((sum, { accepted }) => sum + accepted, 0),
    250,
  )
  assert.equal(
    sums.reduce((sum, { duplicates }) => sum + duplicates, 0),
    950,
  )
  const [row] = await sql<{ rows: string; n: string }>(
    running.databaseUrl,
    'SELECT (SELECT count(*) FROM heartbeats) AS rows, n FROM checks',
  )
  assert.deepEqual(row, { rows: '250', n: '250' })
})

test('heartbeats from the past become history, and the latest one decides the status', async (t) => {
  const running = await build(t)
  const uuid = await createCheck(running, 'sensor')
  const at = (minutesAgo: number) => new Date(Date.now() - minutesAgo * 60_000).toISOString()
  await running.call('POST', path, [{ check: uuid }])
  await running.call('POST', path, [
    { check: uuid, at: at(50), kind: 'fail' },
    { check: uuid, at: at(2000) },
  ])
  const check = (await running.call('GET', `/api/v3/checks/${uuid}`)).json()
  assert.deepEqual([check.status, check.n_pings], ['up', 3])
  const [row] = await sql<{ days: string }>(
    running.databaseUrl,
    'SELECT count(DISTINCT received_at::date) AS days FROM heartbeats',
  )
  assert.ok(Number(row?.days) >= 2)
})

test('an upload that is too large, malformed or empty is refused before anything is stored', async (t) => {
  const running = await build(t)
  const uuid = await createCheck(running, 'job')
  const status = async (body: string) => (await running.call('POST', path, body)).status
  assert.equal(await status(`[{"check": "${uuid}"}, {"check"`), 400)
  assert.equal(await status(''), 400)
  assert.equal(await status('[]'), 400)
  assert.equal(await status(`{"check": "${uuid}"}\n`.repeat(10_001)), 413)
  assert.equal(await status(`[{"check": "${uuid}", "body": "${'x'.repeat(16 * 2 ** 20)}"}]`), 413)
  assert.deepEqual(await sql(running.databaseUrl, 'SELECT 1 FROM heartbeats'), [])
})

test('an entry for a check of another project is rejected, and a read-only key is refused', async (t) => {
  const running = await build(t)
  const uuid = await createCheck(running, 'mine')
  const admin = { authorization: 'Bearer test-admin-token-000000000000000000' }
  const other = (await running.call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()
  const answer = await running.call('POST', path, [{ check: uuid }, { check: 'mine' }], {
    'x-api-key': String(other.api_key),
  })
  assert.deepEqual(answer.json().accepted, 0)
  assert.equal(
    (await running.call('POST', path, [{ check: uuid }], { 'x-api-key': keys.api_key_readonly })).status,
    401,
  )
  assert.equal((await running.call('POST', path, [{ check: uuid }], {})).status, 401)
  assert.deepEqual(await sql(running.databaseUrl, 'SELECT 1 FROM heartbeats'), [])
})

async function createCheck({ call }: Running, slug: string): Promise<string> {
  return String((await call('POST', '/api/v3/checks/', { name: slug, slug, timeout: 3600, grace: 3600 })).json().uuid)
}

test('an upload of old heartbeats does not hold back detection while it waits for the database', async (t) => {
  const running = await build(t)
  const { app, databaseUrl } = running
  const uuid = await createCheck(running, 'nightly')
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM checks WHERE id = $1 FOR UPDATE', [uuid])
  const began = app.database.clock.now()
  const at = new Date(began - 6 * 86_400_000).toISOString()
  const answered = running.call('POST', path, [{ check: uuid, at }])
  const oldest = await eventually('the upload to wait', () => app.heartbeats.oldestWaiting())
  assert.ok(oldest >= began, `${began - oldest} ms before it came`)
  await client.end()
  assert.equal((await answered).json().accepted, 1)
})
