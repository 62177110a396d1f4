import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { adminToken, build, eventually, keys } from '../helper.ts'
import { sql } from '../postgres.ts'

const readOnly = { 'x-api-key': keys.api_key_readonly }

test('a check is created with the defaults of Healthchecks and its 29 fields', async (t) => {
  const { call, url } = await build(t)
  const made = await call('POST', '/api/v3/checks/', {})
  assert.equal(made.status, 201)
  const check = made.json()
  assert.equal(Object.keys(check).length, 29)
  assert.equal(check.timeout, 86_400)
  assert.equal(check.grace, 3600)
  assert.equal(check.status, 'new')
  assert.equal(check.ping_url, `${url}/ping/${check.uuid}`)
  assert.deepEqual((await call('GET', `/api/v3/checks/${check.uuid}`)).json(), check)
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [check] })
})

test('a read-only key reads checks without learning the uuid, and writes nothing', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'a' })).json()
  const seen = (await call('GET', `/api/v3/checks/${uuid}`, undefined, readOnly)).text
  assert.ok(!seen.includes(uuid as string))
  assert.match(seen, /"unique_key":"[0-9a-f]{40}"/)
  const refused = await call('POST', '/api/v3/checks/', {}, readOnly)
  assert.deepEqual([refused.status, refused.json()], [401, { error: 'wrong api key' }])
})

test('a key may be in a header, in the body or a bearer token; a missing or wrong one is refused', async (t) => {
  const { call } = await build(t)
  const answer = async (headers: Record<string, string>, body: unknown = {}) => {
    const { status, text } = await call('POST', '/api/v3/checks/', body, headers)
    return [status, status === 201 ? '' : text]
  }
  assert.deepEqual(await answer({}), [401, '{"error":"missing api key"}'])
  assert.deepEqual(await answer({ 'x-api-key': 'short' }), [401, '{"error":"missing api key"}'])
  assert.deepEqual(await answer({ 'x-api-key': 'x'.repeat(32) }), [401, '{"error":"wrong api key"}'])
  assert.deepEqual(await answer({ authorization: `Bearer ${keys.api_key}` }), [201, ''])
  assert.deepEqual(await answer({}, { api_key: keys.api_key }), [201, ''])
  assert.deepEqual(await answer({}, '{bad'), [400, '{"error":"could not parse request body"}'])
})

const refusals: [Record<string, unknown>, string][] = [
  [{ name: 5 }, 'name is not a string'],
  [{ name: 'x'.repeat(101) }, 'name is too long'],
  [{ slug: 'Bad' }, 'slug does not match pattern'],
  [{ tags: 'x'.repeat(501) }, 'tags is too long'],
  [{ desc: 'a\0b' }, 'desc contains a NUL character'],
  [{ timeout: 0 }, 'timeout is too small'],
  [{ timeout: 31_536_001 }, 'timeout is too large'],
  [{ timeout: 1.5 }, 'timeout is not a number'],
  [{ timeout: true }, 'timeout is too small'],
  [{ timeout: 1e300 }, 'timeout is not a number'],
  [{ grace: '60' }, 'grace is not a number'],
  [{ schedule: '* * *' }, 'schedule is not a valid cron or OnCalendar expression'],
  [{ schedule: '0 0 31 2 *' }, 'schedule is not a valid cron or OnCalendar expression'],
  [{ tz: 'Mars/Olympus' }, 'tz is not a valid timezone'],
  [{ methods: 'GET' }, 'methods has unexpected value'],
  [{ manual_resume: 1 }, 'manual_resume is not a boolean'],
  [{ unique: 'name' }, 'unique is not an array'],
  [{ name: null }, 'name is not a string'],
  [{ failure_threshold: 721 }, 'failure_threshold is too large, at most 720 is possible'],
  [{ recovery_threshold: 0 }, 'recovery_threshold is too small, at least 1 is needed'],
  [{ remind_every: 59 }, 'remind_every is too small, at least 60 is needed'],
  [{ max_pings_per_minute: 6001 }, 'max_pings_per_minute is too large, at most 6000 is possible'],
  [{ max_runtime: 31_536_001 }, 'max_runtime is too large, at most 31536000 is possible'],
  [{ min_runtime: true }, 'min_runtime is not a whole number'],
  [{ early_tolerance: 1.5 }, 'early_tolerance is not a whole number'],
  [{ severity: 'high' }, 'severity is not one of info, warning, critical'],
  [{ parent: 'nightly' }, 'parent is not a uuid'],
  [{ paused_until: '2'.repeat(41) }, 'paused_until is not an ISO 8601 instant with a zone'],
  [{ paused_until: 'tomorrow' }, 'paused_until is not an ISO 8601 instant with a zone'],
]

test('bad input is refused with the field and the rule, and changes nothing', async (t) => {
  const { call } = await build(t)
  for (const [body, problem] of refusals) {
    const { status, text } = await call('POST', '/api/v3/checks/', body)
    assert.deepEqual([status, text], [400, JSON.stringify({ error: `json validation error: ${problem}` })])
  }
  const list = await call('POST', '/api/v3/checks/', [])
  assert.deepEqual(list.json(), { error: 'json validation error: value is not an object' })
  const bad = await call('POST', '/api/v3/checks/', { unique: ['color'] })
  assert.deepEqual(bad.json(), { error: "json validation error: an item in 'unique' has unexpected value" })
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [] })
})

test('an update changes the given fields, switches between schedules, and unsets own fields with null', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'a', tags: 'x', max_runtime: 60 })).json()
  const cron = (
    await call('POST', `/api/v3/checks/${uuid}`, { schedule: '*/5 * * * *', tz: 'Europe/Riga', max_runtime: null })
  ).json()
  assert.deepEqual([cron.name, cron.tags, cron.schedule, cron.tz], ['a', 'x', '*/5 * * * *', 'Europe/Riga'])
  assert.ok(!('timeout' in cron) && !('max_runtime' in cron))
  const simple = (await call('POST', `/api/v3/checks/${uuid}`, { timeout: 120 })).json()
  assert.ok(simple.timeout === 120 && !('schedule' in simple))
})

test('another project’s check and an unknown one are both answered 404 without a body', async (t) => {
  const { call } = await build(t)
  const other = (await call('POST', '/api/v3/projects/', { name: 'other' }, { 'x-api-key': adminToken })).json()
  const { uuid } = (await call('POST', '/api/v3/checks/', {}, { 'x-api-key': other.api_key as string })).json()
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', ''],
    ['POST', '/pause'],
    ['GET', '/pings/'],
  ]) {
    const foreign = await call(method as string, `/api/v3/checks/${uuid}${path}`)
    assert.deepEqual([foreign.status, foreign.text], [404, ''], `${method} ${path}`)
    const unknown = await call(method as string, `/api/v3/checks/${crypto.randomUUID()}${path}`)
    assert.deepEqual([unknown.status, unknown.text], [404, ''], `${method} ${path}`)
  }
  assert.equal((await call('GET', '/api/v3/checks/not-a-uuid')).status, 404)
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [] })
})

test('the list filters by slug and by whole tags, which must all match', async (t) => {
  const { call } = await build(t)
  for (const [name, tags, slug] of [
    ['a', 'x y', 's1'],
    ['b', 'x', 's2'],
    ['c', 'xy', 's1'],
  ])
    await call('POST', '/api/v3/checks/', { name, tags, slug })
  const names = async (query: string) =>
    ((await call('GET', `/api/v3/checks/?${query}`)).json().checks as { name: string }[])
      .map(({ name }) => name)
      .join('')
  assert.equal(await names('tag=x'), 'ab')
  assert.equal(await names('tag=x&tag=y'), 'a')
  assert.equal(await names('slug=s1'), 'ac')
  assert.equal(await names('slug='), 'abc')
  assert.equal(await names('tag='), '')
})

test('pause and resume work, and resuming a check that is not paused is a conflict', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const conflict = await call('POST', `/api/v3/checks/${uuid}/resume`)
  assert.deepEqual([conflict.status, conflict.text], [409, 'check is not paused'])
  await call('GET', `/ping/${uuid}`)
  assert.equal((await call('POST', `/api/v3/checks/${uuid}/pause`)).json().status, 'paused')
  assert.equal((await call('POST', `/api/v3/checks/${uuid}/pause`)).status, 200)
  const resumed = (await call('POST', `/api/v3/checks/${uuid}/resume`)).json()
  assert.deepEqual([resumed.status, resumed.last_ping, resumed.n_pings], ['new', null, 1])
})

test('paused_until pauses at once, and an instant in the past is refused', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const past = await call('POST', `/api/v3/checks/${uuid}`, { paused_until: '2020-01-01T00:00:00Z' })
  assert.deepEqual([past.status, past.json().error], [400, 'json validation error: paused_until is not in the future'])
  const until = new Date(Date.now() + 3_600_000).toISOString()
  const paused = (await call('POST', `/api/v3/checks/${uuid}`, { paused_until: until })).json()
  assert.deepEqual([paused.status, paused.paused_until], ['paused', `${until.slice(0, 19)}+00:00`])
  assert.ok(!('paused_until' in (await call('POST', `/api/v3/checks/${uuid}/resume`)).json()))
})

test('a change that waits for a lock as long as an outage lasts is retried instead of refused', async (t) => {
  const { call, databaseUrl } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'before' })).json()
  // Acceptance of heartbeats cannot be recorded, and callers that need the check have to wait.
  const hold = async (statement: string) => {
    const holder = new pg.Client({ connectionString: databaseUrl })
    await holder.connect()
    await holder.query('BEGIN')
    await holder.query(statement)
    return async () => {
      await holder.query('COMMIT')
      await holder.end()
    }
  }
  const releaseRecord = await hold('SELECT * FROM acceptance FOR UPDATE')
  const releaseCheck = await hold('SELECT * FROM checks FOR UPDATE')
  const changed = call('POST', `/api/v3/checks/${uuid}`, { name: 'after' })
  await eventually('the record to be older than two seconds', async () => {
    const [row] = await sql<{ old: boolean }>(
      databaseUrl,
      `SELECT bool_and(clock_timestamp() - until_at > interval '2100 ms') AS old FROM acceptance`,
    )
    return row?.old
  })
  await releaseCheck()
  await eventually('the check to be free again', async () => {
    const waiting = await sql(
      databaseUrl,
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%checks%'`,
    )
    return waiting.length === 0
  })
  await releaseRecord()
  const answer = await changed
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.json().name, 'after')
})

test('delete answers the document once more, and the ping address ends', async (t) => {
  const { call, databaseUrl } = await build(t)
  const check = (await call('POST', '/api/v3/checks/', { name: 'gone' })).json()
  const deleted = await call('DELETE', `/api/v3/checks/${check.uuid}`)
  assert.deepEqual([deleted.status, deleted.json().name], [200, 'gone'])
  assert.equal((await call('GET', `/api/v3/checks/${check.uuid}`)).status, 404)
  assert.equal((await call('GET', `/ping/${check.uuid}`)).status, 404)
  const audit = await sql<{ action: string; actor: string }>(
    databaseUrl,
    "SELECT action, actor FROM audit WHERE action LIKE 'check.%' ORDER BY id",
  )
  assert.deepEqual(audit, [
    { action: 'check.create', actor: 'api_key' },
    { action: 'check.delete', actor: 'api_key' },
  ])
})

test('parallel identical upserts make one check', async (t) => {
  const { call } = await build(t)
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => call('POST', '/api/v3/checks/', { name: 'nightly', unique: ['name'] })),
  )
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 200, 200, 201])
  assert.equal(((await call('GET', '/api/v3/checks/')).json().checks as unknown[]).length, 1)
})

test('unsupported methods are answered 405, and preflights 204 without a key', async (t) => {
  const { call } = await build(t)
  assert.equal((await call('PUT', '/api/v3/checks/')).status, 405)
  assert.equal((await call('HEAD', '/api/v3/checks/')).status, 405)
  const preflight = await call('OPTIONS', '/api/v3/checks/', undefined, {})
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, POST, OPTIONS')
  const moved = await call('GET', '/api/v3/checks')
  assert.deepEqual([moved.status, moved.headers.get('location')], [301, '/api/v3/checks/'])
})

test('only the operator manages projects; keys are shown once and rotated at once', async (t) => {
  const { call } = await build(t)
  const admin = { authorization: `Bearer ${adminToken}` }
  assert.equal((await call('POST', '/api/v3/projects/', { name: 'p' })).status, 401)
  const bad = await call('POST', '/api/v3/projects/', { name: 'p', colour: 'red' }, admin)
  assert.deepEqual(
    [bad.status, bad.json()],
    [400, { error: 'colour is not a known field', code: 'bad_request', field: 'colour' }],
  )
  const typed = await call('POST', '/api/v3/projects/', { name: 5 }, admin)
  assert.deepEqual([typed.status, typed.json().field], [400, 'name'])
  const made = (await call('POST', '/api/v3/projects', { name: 'p' }, admin)).json()
  assert.match(String(made.api_key), /^\w{32}$/)
  assert.match(String(made.ping_key), /^\w{22}$/)
  const listed = await call('GET', '/api/v3/projects/', undefined, admin)
  assert.deepEqual(
    (listed.json().projects as { name: string }[]).map(({ name }) => name),
    ['default', 'p'],
  )
  assert.ok(!listed.text.includes(String(made.api_key)))
  const rotated = (await call('POST', `/api/v3/projects/${made.id}/keys/api_key/rotate/`, undefined, admin)).json()
  assert.equal((await call('GET', '/api/v3/checks/', undefined, { 'x-api-key': String(rotated.api_key) })).status, 200)
  assert.equal((await call('GET', '/api/v3/checks/', undefined, { 'x-api-key': String(made.api_key) })).status, 401)
  assert.equal((await call('DELETE', `/api/v3/projects/${made.id}/`, undefined, admin)).status, 204)
  assert.equal((await call('GET', '/api/v3/checks/', undefined, { 'x-api-key': String(rotated.api_key) })).status, 401)
})

test('text that cannot be stored is refused with its field, never a 500', async (t) => {
  const { call } = await build(t)
  const admin = { authorization: `Bearer ${adminToken}` }
  for (const name of ['a\0b', '   ', '']) {
    const { status, text } = await call('POST', '/api/v3/projects/', { name }, admin)
    assert.equal(status, 400, text)
    assert.match(text, /"field":"name"/)
  }
  assert.equal((await call('GET', '/api/v3/checks/?slug=%00')).status, 400)
  assert.deepEqual((await call('POST', '/api/v3/checks/', 'null')).json(), {
    error: 'json validation error: value is not an object',
  })
})
