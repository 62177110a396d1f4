// Healthchecks' management API (https://healthchecks.io/docs/api/), case by case, in its three versions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminToken, build, eventually, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'

const versions = ['v1', 'v2', 'v3']
const readOnly = { 'x-api-key': keys.api_key_readonly }
const unknownId = '00000000-0000-4000-8000-000000000000'

type Check = Record<string, string & number & boolean & null>

const create = async ({ call }: Running, body: unknown = {}, api = '/api/v3') =>
  (await call('POST', `${api}/checks/`, body)).json() as Check

const shared =
  'name slug tags desc grace n_pings status started last_ping next_ping manual_resume methods subject subject_fail start_kw success_kw failure_kw filter_subject filter_body filter_http_body filter_default_fail badge_url'.split(
    ' ',
  )
const addresses = 'uuid ping_url update_url pause_url resume_url channels'.split(' ')

test('documents have exactly the fields of Healthchecks, and their addresses contain the version', async (t) => {
  const running = await build(t)
  const { call, url } = running
  const { uuid } = await create(running)
  for (const version of versions) {
    const api = `/api/${version}`
    const check = (await call('GET', `${api}/checks/${uuid}`)).json()
    assert.deepEqual(Object.keys(check).sort(), [...shared, ...addresses, 'timeout'].sort())
    assert.equal(check.update_url, `${url}${api}/checks/${uuid}`)
    assert.equal(check.pause_url, `${url}${api}/checks/${uuid}/pause`)
    assert.equal(check.resume_url, `${url}${api}/checks/${uuid}/resume`)
    assert.equal(check.ping_url, `${url}/ping/${uuid}`)
    const seen = (await call('GET', `${api}/checks/${uuid}`, undefined, readOnly)).json()
    assert.deepEqual(Object.keys(seen).sort(), [...shared, 'unique_key', 'timeout'].sort())
    for (const [method, path] of [
      ['POST', ''],
      ['POST', '/pause'],
      ['POST', '/resume'],
    ] as const) {
      const changed = (await call(method, `${api}/checks/${uuid}${path}`)).json()
      assert.deepEqual(Object.keys(changed).sort(), Object.keys(check).sort(), path)
    }
  }
  const cron = (await call('POST', `/api/v3/checks/${uuid}`, { schedule: '0 5 * * *' })).json()
  assert.deepEqual(Object.keys(cron).sort(), [...shared, ...addresses, 'schedule', 'tz'].sort())
})

test('unique_key is the SHA-1 of the first half of the uuid, and identifies a check', async (t) => {
  const running = await build(t)
  const { call, url, databaseUrl } = running
  await create(running, { name: 'mine' })
  await sql(databaseUrl, "UPDATE checks SET id = '5a6f6e2e-9d6c-4c69-8a5f-5b7f2f6b8f11'")
  // Rows of an older version have no key yet.
  await sql(databaseUrl, 'UPDATE checks SET unique_key = NULL')
  const seen = (await call('GET', '/api/v3/checks/', undefined, readOnly)).json().checks as Check[]
  const expected = await sha1('5a6f6e2e9d6c4c69')
  assert.equal(seen[0]?.unique_key, expected)
  for (const caller of [readOnly, { 'x-api-key': keys.api_key }]) {
    const found = await call('GET', `/api/v3/checks/${expected}`, undefined, caller)
    assert.deepEqual([found.status, found.json().name], [200, 'mine'])
    assert.equal((await call('GET', `/api/v3/checks/${expected}/flips/`, undefined, caller)).status, 200)
  }
  assert.equal((await call('GET', `/api/v3/checks/${'f'.repeat(40)}`)).status, 404)
  assert.deepEqual(
    await sql<{ unique_key: string }>(databaseUrl, 'SELECT unique_key FROM checks'),
    [{ unique_key: expected }],
    'is kept once somebody asked',
  )
  for (const [method, path] of [
    ['POST', ''],
    ['DELETE', ''],
    ['POST', '/flips/'],
  ]) {
    const { status, text } = await call(method as string, `/api/v3/checks/${expected}${path}`)
    assert.deepEqual([status, text], [405, ''], `${method} ${path}`)
  }
  assert.equal((await call('GET', `/api/v3/checks/${expected}/pings/`)).status, 404)
  assert.equal((await call('POST', `/api/v3/checks/${expected}/pause`)).status, 404)
  const other = (await call('POST', '/api/v3/projects/', { name: 'other' }, { 'x-api-key': adminToken })).json()
  const foreign = await fetch(`${url}/api/v3/checks/${expected}`, { headers: { 'x-api-key': String(other.api_key) } })
  assert.equal(foreign.status, 404)
})

const collections: [path: string, methods: string][] = [
  ['checks/', 'GET, POST'],
  [`checks/${unknownId}`, 'GET, POST, DELETE'],
  [`checks/${'a'.repeat(40)}`, 'GET'],
  [`checks/${unknownId}/pause`, 'POST'],
  [`checks/${unknownId}/resume`, 'POST'],
  [`checks/${unknownId}/pings/`, 'GET'],
  [`checks/${unknownId}/pings/1/body`, 'GET'],
  [`checks/${unknownId}/flips/`, 'GET'],
  [`checks/${'a'.repeat(40)}/flips/`, 'GET'],
  ['channels/', 'GET'],
]

test('every address has a preflight without a key, CORS headers on every answer, 405 for other methods', async (t) => {
  const { call } = await build(t)
  for (const version of versions) {
    for (const [path, methods] of collections) {
      const url = `/api/${version}/${path}`
      // The other calls on channels are Flatline's own.
      const isShared = version === 'v3' && path === 'channels/'
      const cors = (headers: Headers) => {
        assert.equal(headers.get('access-control-allow-origin'), '*', url)
        assert.equal(headers.get('access-control-allow-headers'), 'X-Api-Key, Authorization, Content-Type')
        const offered = isShared ? 'GET, POST' : methods
        assert.equal(headers.get('access-control-allow-methods'), `${offered}, OPTIONS`)
        assert.equal(headers.get('access-control-max-age'), '600')
      }
      const preflight = await call('OPTIONS', url, undefined, {})
      assert.equal(preflight.status, 204)
      cors(preflight.headers)
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        if (isShared && method === 'POST') continue
        const { status, text, headers } = await call(method, url, undefined, {})
        if (methods.split(', ').includes(method))
          assert.deepEqual([status, text], [401, '{"error":"missing api key"}'], url)
        else assert.deepEqual([status, text], [405, ''], `${method} ${url}`)
        cors(headers)
      }
    }
  }
})

test('collections redirect to their address with a slash, single checks have no slash', async (t) => {
  const { call } = await build(t)
  for (const version of versions) {
    for (const path of [
      'checks',
      'checks?tag=a&tag=b',
      `checks/${unknownId}/pings`,
      `checks/${unknownId}/flips?seconds=5`,
      'status',
      ...(version === 'v3' ? [] : ['channels']),
    ]) {
      const moved = await call('GET', `/api/${version}/${path}`, undefined, {})
      const [address, query] = path.split('?')
      const target = `/api/${version}/${address}/${query ? `?${query}` : ''}`
      assert.deepEqual([moved.status, moved.headers.get('location')], [301, target])
    }
    assert.equal((await call('GET', `/api/${version}/checks/${unknownId}/`)).status, 404)
    const status = await call('GET', `/api/${version}/status/`, undefined, {})
    assert.deepEqual([status.status, status.text], [200, 'OK'])
  }
})

const withBody: [body: string, headers: Record<string, string>, status: number, text: string][] = [
  ['{bad', {}, 400, '{"error":"could not parse request body"}'],
  ['[]', {}, 400, '{"error":"json validation error: value is not an object"}'],
  ['null', {}, 400, '{"error":"json validation error: value is not an object"}'],
  ['5', { 'x-api-key': keys.api_key }, 400, '{"error":"json validation error: value is not an object"}'],
  ['', {}, 401, '{"error":"missing api key"}'],
  [JSON.stringify({ api_key: 'short' }), {}, 401, '{"error":"missing api key"}'],
  [JSON.stringify({ api_key: 5 }), {}, 401, '{"error":"missing api key"}'],
  [JSON.stringify({ api_key: 'x'.repeat(32) }), {}, 401, '{"error":"wrong api key"}'],
  [JSON.stringify({ api_key: keys.api_key_readonly }), {}, 401, '{"error":"wrong api key"}'],
  [JSON.stringify({ api_key: keys.api_key }), { 'x-api-key': 'x'.repeat(32) }, 401, '{"error":"wrong api key"}'],
  [JSON.stringify({ api_key: keys.api_key }), { 'x-api-key': keys.ping_key }, 401, '{"error":"missing api key"}'],
  [JSON.stringify({ api_key: keys.api_key }), {}, 201, ''],
  [JSON.stringify({ api_key: keys.api_key }), { 'content-type': 'no media type' }, 201, ''],
  ['', { 'x-api-key': keys.api_key }, 201, ''],
]

test('the body of a POST is read before the key is required, and may contain it', async (t) => {
  const running = await build(t)
  const { call } = running
  for (const version of versions) {
    for (const [body, headers, status, text] of withBody) {
      const answer = await call('POST', `/api/${version}/checks/`, body, headers)
      assert.deepEqual([answer.status, status === 201 ? '' : answer.text], [status, text], body)
    }
  }
  const { uuid } = await create(running)
  const body = JSON.stringify({ api_key: keys.api_key })
  assert.equal((await call('POST', `/api/v3/checks/${uuid}/pause`, body, {})).status, 200)
  assert.equal((await call('POST', `/api/v3/checks/${uuid}`, body, {})).status, 200)
  assert.equal((await call('DELETE', `/api/v3/checks/${uuid}`, body, {})).status, 401, 'of a POST alone')
  assert.equal((await call('GET', `/api/v3/checks/?api_key=${keys.api_key}`, undefined, {})).status, 401)
})

test('a read-only key lists checks, reads them and their flips, and does nothing else', async (t) => {
  const running = await build(t)
  const { call } = running
  const { uuid } = await create(running)
  await call('GET', `/ping/${uuid}`)
  for (const version of versions) {
    const as = async (method: string, path: string) =>
      (await call(method, `/api/${version}/${path}`, undefined, readOnly)).status
    for (const path of ['checks/', `checks/${uuid}`, `checks/${uuid}/flips/`])
      assert.equal(await as('GET', path), 200, path)
    for (const path of [`checks/${uuid}/pings/`, `checks/${uuid}/pings/1/body`, 'channels/'])
      assert.equal(await as('GET', path), 401, path)
    for (const path of ['checks/', `checks/${uuid}`, `checks/${uuid}/pause`, `checks/${uuid}/resume`])
      assert.equal(await as('POST', path), 401, path)
    assert.equal(await as('DELETE', `checks/${uuid}`), 401)
  }
})

/** Bodies as text, because JavaScript would write 60.0 as 60. */
const refusals: [body: string, problem: string][] = [
  ['{"timeout": 60.0}', 'timeout is not a number'],
  ['{"timeout": 6e1}', 'timeout is not a number'],
  ['{"timeout": "60"}', 'timeout is not a number'],
  ['{"timeout": null}', 'timeout is not a number'],
  ['{"timeout": true}', 'timeout is too small'],
  ['{"timeout": 0}', 'timeout is too small'],
  ['{"timeout": -60}', 'timeout is too small'],
  ['{"timeout": 31536001}', 'timeout is too large'],
  [`{"timeout": ${'9'.repeat(400)}}`, 'timeout is too large'],
  [`{"grace": ${'9'.repeat(20)}}`, 'grace is too large'],
  ['{"grace": []}', 'grace is not a number'],
  ['{"name": 60.0}', 'name is not a string'],
  ['{"name": null}', 'name is not a string'],
  ['{"desc": {}}', 'desc is not a string'],
  ['{"slug": "Upper"}', 'slug does not match pattern'],
  ['{"slug": "a b"}', 'slug does not match pattern'],
  ['{"slug": "a\\n"}', 'slug does not match pattern'],
  [`{"slug": "${'a'.repeat(101)}"}`, 'slug is too long'],
  ['{"tags": ["a"]}', 'tags is not a string'],
  ['{"schedule": ""}', 'schedule is not a valid cron or OnCalendar expression'],
  [`{"schedule": "${'*'.repeat(101)}"}`, 'schedule is too long'],
  ['{"schedule": 5}', 'schedule is not a string'],
  ['{"tz": "europe/riga"}', 'tz is not a valid timezone'],
  ['{"tz": ""}', 'tz is not a valid timezone'],
  ['{"manual_resume": 1}', 'manual_resume is not a boolean'],
  ['{"filter_subject": "true"}', 'filter_subject is not a boolean'],
  ['{"filter_body": null}', 'filter_body is not a boolean'],
  ['{"filter_http_body": 0}', 'filter_http_body is not a boolean'],
  ['{"filter_default_fail": []}', 'filter_default_fail is not a boolean'],
  ['{"methods": "GET"}', 'methods has unexpected value'],
  ['{"methods": null}', 'methods has unexpected value'],
  [`{"start_kw": "${'x'.repeat(201)}"}`, 'start_kw is too long'],
  [`{"subject": "${'x'.repeat(201)}"}`, 'subject is too long'],
  ['{"subject_fail": 5}', 'subject_fail is not a string'],
  ['{"channels": ["a"]}', 'channels is not a string'],
  ['{"unique": "name"}', 'unique is not an array'],
  ['{"unique": ["status"]}', "an item in 'unique' has unexpected value"],
  ['{"unique": [["name"]]}', "an item in 'unique' has unexpected value"],
  ['{"unique": ["constructor"]}', "an item in 'unique' has unexpected value"],
  // The first problem only, in Healthchecks' order.
  ['{"tz": 1, "timeout": 1.5, "channels": 1, "name": 1}', 'channels is not a string'],
  ['{"tz": 1, "timeout": 1.5, "name": 1, "grace": "x"}', 'grace is not a number'],
  ['{"unique": 1, "tz": 1, "tags": 1, "success_kw": 1}', 'success_kw is not a string'],
  ['{"parent": 5}', 'parent is not a string'],
  ['{"parent": "x"}', 'parent is not a uuid'],
  [`{"parent": "${unknownId}"}`, 'parent is not a check of this project'],
  ['{"track_runs": 1}', 'track_runs is not a boolean'],
]

test('bad fields are refused with Healthchecks’ texts, in its order, on create and on update', async (t) => {
  const running = await build(t)
  const { call } = running
  const before = await create(running, { name: 'untouched' })
  for (const [body, problem] of refusals) {
    for (const path of ['', before.uuid]) {
      const { status, text } = await call('POST', `/api/v3/checks/${path}`, body)
      assert.deepEqual([status, text], [400, JSON.stringify({ error: `json validation error: ${problem}` })], body)
    }
  }
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [before] })
})

const accepted: [body: Record<string, unknown>, seen: Record<string, unknown>][] = [
  [{ name: 'x'.repeat(100) }, { name: 'x'.repeat(100), slug: '' }],
  [{ name: '😀'.repeat(100) }, { name: '😀'.repeat(100) }],
  [
    { slug: 'a-b_c9', tags: '  a   b ' },
    { slug: 'a-b_c9', tags: '  a   b ' },
  ],
  [
    { timeout: 31_536_000, grace: 31_536_000 },
    { timeout: 31_536_000, grace: 31_536_000 },
  ],
  [
    { schedule: '*/5 * * * *', timeout: 600 },
    { schedule: '*/5 * * * *', tz: 'UTC', timeout: undefined },
  ],
  [{ tz: 'Europe/Riga' }, { timeout: 86_400, tz: undefined }],
  [
    { subject: 'ok', subject_fail: 'bad' },
    { success_kw: 'ok', failure_kw: 'bad', filter_subject: true, subject: 'ok', subject_fail: 'bad' },
  ],
  [
    { subject: '', subject_fail: '' },
    { success_kw: '', failure_kw: '', filter_subject: false },
  ],
  [
    { subject: 'ok', filter_subject: false },
    { success_kw: 'ok', filter_subject: false, subject: '' },
  ],
  [
    { success_kw: 'ok', start_kw: 'go' },
    { success_kw: 'ok', start_kw: 'go', subject: '', filter_subject: false },
  ],
  [
    { methods: 'POST', manual_resume: true },
    { methods: 'POST', manual_resume: true },
  ],
  [{ colour: 'red', uuid: unknownId, status: 'down' }, { status: 'new' }],
  [
    { track_runs: true, failure_threshold: 3 },
    { track_runs: true, failure_threshold: 3 },
  ],
]

test('accepted values are normalised as Healthchecks does', async (t) => {
  const running = await build(t)
  for (const [body, seen] of accepted) {
    const made = await create(running, body)
    for (const [field, value] of Object.entries(seen)) assert.deepEqual(made[field], value, `${field} of ${made.uuid}`)
    assert.notEqual(made.uuid, unknownId)
  }
})

const slugs: [name: string, slug: string][] = [
  ['Hello  World_X! -y-', 'hello-world_x-y'],
  ['Größe ﬁn', 'groe-fin'],
  ['中文', ''],
  ['_-x-_', 'x'],
  ['㎯'.repeat(100), 'rads2'.repeat(20)],
]

test('versions 1 and 2 make the slug of the name, unless one is given; version 3 does not', async (t) => {
  const running = await build(t)
  const { call } = running
  for (const [name, slug] of slugs) {
    for (const version of ['v1', 'v2']) {
      const made = await create(running, { name }, `/api/${version}`)
      assert.equal(made.slug, slug, name)
      const given = await create(running, { name, slug: 'own' }, `/api/${version}`)
      assert.equal(given.slug, 'own')
    }
    assert.equal((await create(running, { name })).slug, '')
  }
  const { uuid } = await create(running, { name: 'a', slug: 'kept' })
  assert.equal((await call('POST', `/api/v3/checks/${uuid}`, { name: 'New Name' })).json().slug, 'kept')
  assert.equal((await call('POST', `/api/v2/checks/${uuid}`, { tags: 'x' })).json().slug, 'kept')
  assert.equal((await call('POST', `/api/v1/checks/${uuid}`, { name: 'New Name' })).json().slug, 'new-name')
})

test('version 1 says started while a run is open and not overrun, whatever the status is', async (t) => {
  const running = await build(t)
  const { call } = running
  const { uuid } = await create(running, { grace: 3600 })
  const seen = async () =>
    Promise.all(
      versions.map(async (version) => {
        const { status, started } = (await call('GET', `/api/${version}/checks/${uuid}`)).json()
        return `${status} ${started}`
      }),
    )
  await call('GET', `/ping/${uuid}/start`)
  assert.deepEqual(await seen(), ['started true', 'new true', 'new true'])
  await call('GET', `/ping/${uuid}`)
  assert.deepEqual(await seen(), ['up false', 'up false', 'up false'])
  await call('GET', `/ping/${uuid}/fail`)
  await call('GET', `/ping/${uuid}/start`)
  assert.deepEqual(await seen(), ['started true', 'down true', 'down true'])
  await call('POST', `/api/v3/checks/${uuid}`, { grace: 1 })
  await eventually('the overrun', async () => (await seen()).join() === 'down true,down true,down true')
})

const channelCases: [channels: string, status: number, text: string][] = [
  ['nobody', 400, '{"error":"invalid channel identifier: nobody"}'],
  ['twice', 400, '{"error":"non-unique channel identifier: twice"}'],
  ['on call,', 400, '{"error":"empty channel identifier"}'],
  [',', 400, '{"error":"empty channel identifier"}'],
  [' on call', 400, '{"error":"invalid channel identifier:  on call"}'],
]

test('channels are given by id, exact name, all, none or unchanged, and checked before anything is saved', async (t) => {
  const running = await build(t)
  const { call } = running
  const ids: string[] = []
  for (const name of ['on call', 'twice', 'twice']) {
    const settings = { url: 'http://127.0.0.1:9/' }
    ids.push(String((await call('POST', '/api/v3/channels/', { kind: 'webhook', name, settings })).json().id))
  }
  const sorted = [...ids].sort().join(',')
  const { uuid, channels } = await create(running, { name: 'a' })
  assert.equal(channels, '')
  const set = async (value: string) =>
    (await call('POST', `/api/v3/checks/${uuid}`, { channels: value })).json().channels
  assert.equal(await set('*'), sorted)
  assert.equal((await call('POST', `/api/v3/checks/${uuid}`, { name: 'b' })).json().channels, sorted)
  assert.equal(await set(''), '')
  assert.equal(await set(`on call,${ids[0]},on call`), ids[0])
  assert.equal(await set(`${ids[2]},${ids[1]}`), [ids[1], ids[2]].sort().join(','))
  for (const [value, status, text] of channelCases) {
    const answer = await call('POST', `/api/v3/checks/${uuid}`, { name: 'changed', channels: value })
    assert.deepEqual([answer.status, answer.text], [status, text])
    assert.equal((await call('POST', '/api/v3/checks/', { channels: value })).status, status)
  }
  assert.equal((await call('GET', `/api/v3/checks/${uuid}`)).json().name, 'b')
  for (const version of versions) {
    const { status, text } = await call('GET', `/api/${version}/channels/`)
    const listed = JSON.parse(text).channels as object[]
    assert.deepEqual([status, listed.length, listed[0]], [200, 3, { id: ids[0], name: 'on call', kind: 'webhook' }])
  }
})

test('unique compares all listed fields, updates the oldest match, and a missing field matches nothing', async (t) => {
  const running = await build(t)
  const { call } = running
  const [first] = [await create(running, { name: 'a', tags: 'x y', grace: 60 }), await create(running, { name: 'a' })]
  const upsert = async (body: Record<string, unknown>, api = '/api/v3') => {
    const answer = await call('POST', `${api}/checks/`, body)
    return [answer.status, answer.json().uuid === first.uuid]
  }
  assert.deepEqual(await upsert({ name: 'a', unique: ['name'], desc: 'new' }), [200, true])
  assert.equal((await call('GET', `/api/v3/checks/${first.uuid}`)).json().desc, 'new')
  assert.deepEqual(await upsert({ name: 'a', tags: 'x y', unique: ['name', 'tags'] }), [200, true])
  assert.deepEqual(await upsert({ tags: 'X y', unique: ['tags'] }), [201, false])
  assert.deepEqual(await upsert({ grace: 60, timeout: 86_400, unique: ['grace', 'timeout'] }), [200, true])
  assert.deepEqual(await upsert({ name: 'a', unique: ['name', 'slug'] }), [201, false], 'no slug was given')
  assert.deepEqual(await upsert({ name: 'A', unique: ['slug'] }, '/api/v1'), [201, false], 'nor is one made to match')
  assert.deepEqual(await upsert({ name: 'a', unique: [] }), [201, false])
  const update = await call('POST', `/api/v3/checks/${first.uuid}`, { unique: ['name'], name: 'b' })
  assert.deepEqual([update.status, update.json().name], [200, 'b'], 'is ignored on update')
})

test('parallel upserts of all versions make one check', async (t) => {
  const { call } = await build(t)
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, i) =>
      call('POST', `/api/${versions[i % 3]}/checks/`, { name: 'nightly', slug: 'nightly', unique: ['name', 'slug'] }),
    ),
  )
  assert.equal(answers.filter(({ status }) => status === 201).length, 1)
  assert.equal(new Set(answers.map((answer) => answer.json().uuid)).size, 1)
})

async function sha1(text: string): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-1', Buffer.from(text))).toString('hex')
}
