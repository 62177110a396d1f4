// The ping API of Healthchecks, case by case (https://healthchecks.io/docs/http_api/).

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { type Answer, adminToken, build, eventually, keys, type Running } from '../../helper.ts'
import { sql } from '../../postgres.ts'

const key = keys.ping_key
const otherKey = 'nobody-s-ping-key-0000'
const rid = '2c1d0a52-8a44-4d6c-9d1e-0d9f4b7f7a11'
/** The endpoint of a self-hosted Healthchecks, and that of a ping host. */
const endpoints = ['/ping/', '/']

type Check = { uuid: string; slug: string; status: string; n_pings: number; [field: string]: unknown }

async function createCheck({ call }: Running, fields: object = {}): Promise<Check> {
  const answer = await call('POST', '/api/v3/checks/', fields)
  assert.equal(answer.status, 201, answer.text)
  return answer.json() as Check
}

async function checksOf({ call }: Running, slug?: string): Promise<Check[]> {
  const query = slug === undefined ? '' : `?slug=${slug}`
  return (await call('GET', `/api/v3/checks/${query}`)).json().checks as Check[]
}

const ping = ({ call }: Running, path: string, method = 'GET', body?: string, headers: Record<string, string> = {}) =>
  call(method, path, body, headers)

/** What was recorded for a check, the oldest first: `kind`, or `kind status` where there is an exit status. */
async function recorded({ databaseUrl }: Running, uuid: string): Promise<string[]> {
  const rows = await sql<{ kind: string; exit_status: number | null }>(
    databaseUrl,
    'SELECT kind, exit_status FROM heartbeats WHERE check_id = $1 ORDER BY n',
    [uuid],
  )
  return rows.map(({ kind, exit_status: status }) => (status === null ? kind : `${kind} ${status}`))
}

test('every address by uuid records its kind, and malformed ones are refused', async (t) => {
  const running = await build(t)
  const rows: [suffix: string, status: number, text: string, recorded?: string][] = [
    ['', 200, 'OK', 'success'],
    ['/', 200, 'OK', 'success'],
    ['/start', 200, 'OK', 'start'],
    ['/fail', 200, 'OK', 'fail'],
    ['/log', 200, 'OK', 'log'],
    ['/0', 200, 'OK', 'success 0'],
    ['/1', 200, 'OK', 'fail 1'],
    ['/007', 200, 'OK', 'fail 7'],
    ['/255', 200, 'OK', 'fail 255'],
    ['/256', 400, 'invalid url format'],
    ['/99999999999999999999', 400, 'invalid url format'],
    ['/-1', 404, 'not found'],
    ['/bogus', 404, 'not found'],
    ['/START', 400, 'invalid url format'],
    ['/Fail/7', 400, 'invalid url format'],
    ['/start/fail', 404, 'not found'],
    [`?rid=${rid}`, 200, 'OK', 'success'],
    [`/start?rid=${rid.toUpperCase()}`, 200, 'OK', 'start'],
    ['?rid=', 400, 'invalid uuid format'],
    ['?rid=x', 400, 'invalid uuid format'],
    [`?rid=${rid.replaceAll('-', '')}`, 400, 'invalid uuid format'],
    [`?rid={${rid}}`, 400, 'invalid uuid format'],
    ['/256?rid=x', 400, 'invalid url format'],
    ['?create=1', 200, 'OK', 'success'],
  ]
  for (const endpoint of endpoints) {
    const { uuid } = await createCheck(running)
    for (const [suffix, status, text] of rows) {
      const answer = await ping(running, `${endpoint}${uuid}${suffix}`)
      assert.deepEqual([answer.status, answer.text], [status, text], `${endpoint}…${suffix}`)
    }
    assert.deepEqual(
      await recorded(running, uuid),
      rows.flatMap(([, , , kind]) => kind ?? []),
    )
    const unknown = crypto.randomUUID()
    for (const suffix of ['', '/', '/start', '/256', '?rid=x', '?create=1'])
      assert.equal((await ping(running, `${endpoint}${unknown}${suffix}`)).status, 404, suffix)
    for (const bad of [
      uuid.toUpperCase(),
      uuid.replaceAll('-', ''),
      `${uuid}0`,
      `{${uuid}}`,
      `${uuid.toUpperCase()}/start`,
    ])
      assert.equal((await ping(running, endpoint + bad)).status, 404, bad)
  }
})

test('every address by ping key and slug records its kind, and malformed ones are refused', async (t) => {
  const running = await build(t)
  const rows: [path: string, status: number, text: string, recorded?: string][] = [
    [`${key}/job`, 200, 'OK', 'success'],
    [`${key}/job/start`, 200, 'OK', 'start'],
    [`${key}/job/fail`, 200, 'OK', 'fail'],
    [`${key}/job/log`, 200, 'OK', 'log'],
    [`${key}/job/0`, 200, 'OK', 'success 0'],
    [`${key}/job/007`, 200, 'OK', 'fail 7'],
    [`${key}/job?create=1`, 200, 'OK', 'success'],
    [`${key}/job/start?rid=${rid}&create=1`, 200, 'OK', 'start'],
    [`${key}/job/256`, 400, 'invalid url format'],
    [`${key}/job?rid=`, 400, 'invalid uuid format'],
    [`${key}/Job`, 400, 'invalid url format'],
    [`${otherKey}/Job`, 400, 'invalid url format'],
    [`${key}/none`, 404, 'not found'],
    [`${key}/none/256`, 404, 'not found'],
    [`${key}/none?rid=x`, 404, 'not found'],
    [`${key}/none?create=0`, 404, 'not found'],
    [`${key}/none?create=true`, 404, 'not found'],
    [`${key}/none?create=`, 404, 'not found'],
    [`${key}/none?create=01`, 404, 'not found'],
    [`${otherKey}/job`, 404, 'not found'],
    [`${otherKey}/job?create=1`, 404, 'not found'],
    [`${key.toUpperCase()}/job`, 404, 'not found'],
    [`${key}/twin`, 409, 'ambiguous slug'],
    [`${key}/twin?create=1`, 409, 'ambiguous slug'],
    [`${key}/twin/fail`, 409, 'ambiguous slug'],
    [`${key}/twin/256`, 409, 'ambiguous slug'],
  ]
  const routeless = [
    `${key}/job/`,
    `${key}/job/bogus`,
    `${key}/job/-1`,
    `${key}/job/start/`,
    `${key}/jöb`,
    `${key}/j%20b`,
    key,
  ]
  await createCheck(running, { slug: 'twin' })
  await createCheck(running, { slug: 'twin' })
  for (const endpoint of endpoints) {
    const { uuid } = await createCheck(running, { slug: 'job' })
    for (const [path, status, text] of rows) {
      const answer = await ping(running, endpoint + path)
      assert.deepEqual([answer.status, answer.text], [status, text], endpoint + path)
    }
    for (const path of routeless) assert.equal((await ping(running, endpoint + path)).status, 404, endpoint + path)
    assert.equal((await ping(running, `${endpoint}${key}/${'x'.repeat(101)}?create=1`)).status, 400, 'too long')
    assert.deepEqual(
      await recorded(running, uuid),
      rows.flatMap(([, , , kind]) => kind ?? []),
    )
    await running.call('DELETE', `/api/v3/checks/${uuid}`)
  }
  assert.deepEqual(
    (await checksOf(running)).map(({ slug, n_pings: n }) => `${slug} ${n}`),
    ['twin 0', 'twin 0'],
  )
})

test('an address without /ping is a ping only if the length of its key fits', async (t) => {
  const running = await build(t)
  for (const path of [
    '/health',
    '/metrics',
    '/api/openapi.json',
    '/x/y',
    '/favicon.ico',
    `/${key}0/job`,
    '/assets/app.js/x',
  ]) {
    const answer = await ping(running, path)
    if (answer.status === 404) assert.match(answer.text, /"code":"not_found"/, path)
  }
})

test('an accepted ping has the headers of the protocol for every method; refusals do not', async (t) => {
  const running = await build(t, { PING_BODY_LIMIT: '10' })
  const { uuid } = await createCheck(running, { slug: 'job' })
  const check = (answer: Answer, status: number, text: string) => {
    assert.deepEqual([answer.status, answer.text], [status, text])
    const header = (name: string) => answer.headers.get(name)
    assert.equal(header('access-control-allow-origin'), '*')
    assert.equal(header('ping-body-limit'), '10')
    assert.equal(header('cache-control'), 'max-age=0, no-cache, no-store, must-revalidate, private')
    assert.ok(Math.abs(Date.parse(String(header('expires'))) - Date.now()) < 5000)
    assert.match(String(header('content-type')), /^text\/plain/)
  }
  for (const path of [`/ping/${uuid}`, `/${key}/job`]) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT'])
      check(await ping(running, path, method), 200, method === 'HEAD' ? '' : 'OK')
  }
  check(await ping(running, `/ping/${key}/new?create=1`, 'POST'), 201, 'Created')
  const refused = [
    `/ping/${uuid}/256`,
    `/ping/${uuid}?rid=x`,
    `/ping/${crypto.randomUUID()}`,
    `/${key}/none`,
    `/${key}/Job`,
  ]
  for (const path of refused) {
    const { status, headers } = await ping(running, path)
    assert.ok(status >= 400 && status < 500)
    assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('ping-body-limit')], [null, null], path)
  }
  assert.equal((await ping(running, `/ping/${crypto.randomUUID()}`, 'HEAD')).text, '')
})

test('OPTIONS is a preflight and not a ping, and other methods are refused', async (t) => {
  const running = await build(t)
  const { uuid } = await createCheck(running, { slug: 'job' })
  for (const path of [
    `/ping/${uuid}`,
    `/ping/${uuid}/start`,
    `/ping/${key}/job/7`,
    `/${uuid}`,
    `/${key}/job`,
    `/${key}/new?create=1`,
  ]) {
    const preflight = await ping(running, path, 'OPTIONS')
    assert.deepEqual([preflight.status, preflight.text], [204, ''])
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
    assert.match(String(preflight.headers.get('access-control-allow-methods')), /GET, HEAD, POST, PUT/)
    for (const method of ['DELETE', 'PATCH']) {
      const refused = await ping(running, path, method)
      assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'GET, HEAD, POST, PUT, OPTIONS'])
    }
  }
  assert.deepEqual(
    (await checksOf(running)).map(({ n_pings: n }) => n),
    [0],
  )
})

test('scheme, method, address and user agent of the sender are recorded', async (t) => {
  const running = await build(t)
  const { uuid } = await createCheck(running)
  const rows: [headers: Record<string, string>, address: string, scheme: string][] = [
    [{}, '127.0.0.1', 'http'],
    [{ 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9', 'http'],
    [{ 'x-forwarded-for': ' 203.0.113.9:4711 , 10.0.0.1', 'x-forwarded-proto': 'https' }, '203.0.113.9', 'https'],
    [{ 'x-forwarded-for': '2001:db8::1' }, '2001:db8::1', 'http'],
    [{ 'x-forwarded-for': '[2001:db8::1]:443' }, '2001:db8::1', 'http'],
    [{ 'x-forwarded-for': '::ffff:192.0.2.1' }, '::ffff:192.0.2.1', 'http'],
    [{ 'x-forwarded-for': 'garbage', 'x-forwarded-proto': 'no scheme' }, '127.0.0.1', 'http'],
    [{ 'x-forwarded-for': '', 'x-forwarded-proto': 'x'.repeat(11) }, '127.0.0.1', 'http'],
    [{ 'x-forwarded-for': `fe80::1%${'a'.repeat(500)}` }, 'fe80::1', 'http'],
    [{ 'x-forwarded-for': '1.2.3.4.5:80' }, '127.0.0.1', 'http'],
  ]
  for (const [headers] of rows)
    assert.equal((await ping(running, `/ping/${uuid}`, 'GET', undefined, headers)).status, 200)
  await ping(running, `/ping/${uuid}`, 'PUT', undefined, { 'user-agent': 'u'.repeat(300) })
  const pings = (await running.call('GET', `/api/v3/checks/${uuid}/pings/`)).json().pings as Record<string, unknown>[]
  assert.deepEqual(
    pings.slice(1).map(({ remote_addr: address, scheme }) => [address, scheme]),
    rows.map(([, ...expected]) => expected).reverse(),
  )
  assert.deepEqual([pings[0]?.method, pings[0]?.ua, pings[0]?.n], ['PUT', 'u'.repeat(200), rows.length + 1])
})

test('address, method filter and body filter decide the kind of a ping in this order', async (t) => {
  const running = await build(t)
  type Sent = [method: string, suffix: string, body: string | undefined, kind: string]
  const filter = { filter_http_body: true, failure_kw: 'ERROR, FATAL ,,', success_kw: 'done', start_kw: 'begin' }
  const rows: [name: string, settings: object, sent: Sent[]][] = [
    [
      'no filter',
      {},
      [
        ['GET', '/7', undefined, 'fail'],
        ['POST', '/start', 'ERROR', 'start'],
      ],
    ],
    [
      'methods',
      { methods: 'POST' },
      [
        ['GET', '', undefined, 'ign'],
        ['HEAD', '/fail', undefined, 'ign'],
        ['PUT', '/start', 'x', 'ign'],
        ['POST', '/fail', 'x', 'fail'],
      ],
    ],
    [
      'methods come before the body',
      { ...filter, methods: 'POST' },
      [
        ['PUT', '', 'done', 'ign'],
        ['POST', '', 'done', 'success'],
      ],
    ],
    [
      'the body overrides the address',
      filter,
      [
        ['POST', '/fail', 'all done', 'success'],
        ['POST', '', 'it is ERROR', 'fail'],
        ['POST', '/7', 'begin', 'start'],
        ['POST', '/log', 'done', 'success'],
        ['POST', '/start', 'nothing', 'ign'],
        ['GET', '', undefined, 'ign'],
        ['POST', '', 'begin done FATAL', 'fail'],
        ['POST', '', 'begin done', 'success'],
        ['POST', '', 'DONE', 'ign'],
        ['POST', '', ', ,', 'ign'],
      ],
    ],
    [
      'default fail',
      { ...filter, filter_default_fail: true },
      [
        ['POST', '', 'nothing', 'fail'],
        ['GET', '/log', undefined, 'fail'],
        ['POST', '', 'done', 'success'],
      ],
    ],
    [
      'filters for e-mail do not concern a request',
      { filter_subject: true, filter_body: true, success_kw: 'done' },
      [['POST', '/fail', 'done', 'fail']],
    ],
  ]
  for (const [name, settings, sent] of rows) {
    const { uuid } = await createCheck(running, settings)
    for (const [method, suffix, body] of sent)
      assert.equal((await ping(running, `/ping/${uuid}${suffix}`, method, body)).status, 200)
    const kinds = (await recorded(running, uuid)).map((kind) => kind.split(' ')[0])
    assert.deepEqual(
      kinds,
      sent.map(([, , , kind]) => kind),
      name,
    )
  }
})

test('a paused check that only its owner resumes ignores every ping, before every filter', async (t) => {
  const running = await build(t)
  const { uuid } = await createCheck(running, {
    manual_resume: true,
    filter_http_body: true,
    success_kw: 'done',
    slug: 'job',
  })
  await running.call('POST', `/api/v3/checks/${uuid}/pause`)
  for (const path of [`/ping/${uuid}`, `/ping/${uuid}/log`, `/ping/${uuid}/start`, `/${key}/job/fail`])
    assert.equal((await ping(running, path, 'POST', 'done')).text, 'OK')
  assert.deepEqual(await recorded(running, uuid), ['ign', 'ign', 'ign', 'ign'])
  const check = (await running.call('GET', `/api/v3/checks/${uuid}`)).json()
  assert.deepEqual([check.status, check.n_pings, check.started], ['paused', 4, false])
})

test('keywords are searched in the kept part of a body, text or not', async (t) => {
  const running = await build(t, { PING_BODY_LIMIT: '8' })
  const { uuid } = await createCheck(running, { filter_http_body: true, success_kw: 'dönе', failure_kw: 'late' })
  const bodies = [
    Buffer.from([0xff, 0xfe, 0x00, 0x80]),
    Buffer.concat([Buffer.from([0xff]), Buffer.from('dönе')]),
    Buffer.from('12345678late'),
  ]
  for (const body of bodies)
    assert.equal((await fetch(`${running.url}/ping/${uuid}`, { method: 'POST', body })).status, 200)
  assert.deepEqual(await recorded(running, uuid), ['ign', 'success', 'ign'])
})

test('runs have durations, and the check shows the last one', async (t) => {
  const running = await build(t)
  const { uuid } = await createCheck(running)
  const other = crypto.randomUUID()
  const check = async () => (await running.call('GET', `/api/v3/checks/${uuid}`)).json()
  for (const suffix of [`/start?rid=${rid}`, `/start?rid=${other}`, `/log?rid=${rid}`, `?rid=${rid}`])
    await ping(running, `/ping/${uuid}${suffix}`)
  let state = await check()
  assert.deepEqual([state.started, state.last_duration, state.status], [true, undefined, 'up'])
  assert.ok(String(state.next_ping) <= String(state.last_ping), 'while a run is open next_ping is its start')
  await ping(running, `/ping/${uuid}/fail?rid=${other}`)
  state = await check()
  assert.deepEqual([state.started, state.last_duration, state.status, state.next_ping], [false, 0, 'down', null])
  await ping(running, `/ping/${uuid}?rid=${other}`)
  const pings = (await running.call('GET', `/api/v3/checks/${uuid}/pings/`)).json().pings as {
    duration?: number
    rid: string
  }[]
  assert.deepEqual(
    pings.map(({ duration }) => typeof duration),
    ['undefined', 'number', 'number', 'undefined', 'undefined', 'undefined'],
  )
})

test('create=1 creates a check with the defaults and all channels, and applies the signal', async (t) => {
  const running = await build(t)
  const channel = { kind: 'webhook', name: 'hook', settings: { url: 'http://127.0.0.1:9/' } }
  const { id } = (await running.call('POST', '/api/v3/channels/', channel)).json()
  const rows: [suffix: string, status: string, kind: string][] = [
    ['', 'up', 'success'],
    ['/start', 'new', 'start'],
    ['/fail', 'down', 'fail'],
    ['/log', 'new', 'log'],
    ['/0', 'up', 'success 0'],
    ['/3', 'down', 'fail 3'],
  ]
  for (const endpoint of endpoints) {
    for (const [suffix, status, kind] of rows) {
      const slug = `made-${endpoint.length}${suffix.replace('/', '_')}`
      const answer = await ping(running, `${endpoint}${key}/${slug}${suffix}?create=1`, 'POST', 'hello')
      assert.deepEqual([answer.status, answer.text], [201, 'Created'], slug)
      const [check, ...more] = await checksOf(running, slug)
      assert.ok(check !== undefined && more.length === 0)
      const { name, timeout, grace, tags, n_pings: n } = check
      assert.deepEqual(
        [name, timeout, grace, tags, n, check.status, check.channels],
        [slug, 86_400, 3600, '', 1, status, id],
      )
      assert.deepEqual(await recorded(running, check.uuid), [kind])
      assert.equal((await ping(running, `${endpoint}${key}/${slug}?create=1`)).text, 'OK')
    }
  }
  const entries = await sql<{ actor: string; target: string }>(
    running.databaseUrl,
    "SELECT actor, target FROM audit WHERE action = 'check.create'",
  )
  assert.equal(entries.filter(({ actor }) => actor === 'ping_key').length, 12)
})

test('a malformed ping with create=1 creates nothing', async (t) => {
  const running = await build(t)
  for (const [path, text] of [
    [`/ping/${key}/new?create=1&rid=x`, 'invalid uuid format'],
    [`/ping/${key}/new/256?create=1`, 'invalid url format'],
    [`/ping/${key}/New?create=1`, 'invalid url format'],
  ] as const) {
    const answer = await ping(running, path)
    assert.deepEqual([answer.status, answer.text], [400, text])
  }
  assert.deepEqual(await checksOf(running), [])
})

test('parallel first pings to two replicas create one check per slug, with one Created', async (t) => {
  const running = await build(t)
  const replica = await build(t, { DATABASE_URL: running.databaseUrl })
  for (let round = 0; round < 8; round++) {
    const slugs = Array.from({ length: 4 }, (_, i) => `slug-${round}-${i}`)
    const answers = await Promise.all(
      slugs.flatMap((slug) =>
        Array.from({ length: 12 }, (_, i) => ping(i % 2 ? running : replica, `/ping/${key}/${slug}?create=1`)),
      ),
    )
    const statuses = Map.groupBy(answers, ({ status }) => status)
    assert.deepEqual([statuses.get(201)?.length, statuses.get(200)?.length], [4, 44])
    for (const slug of slugs) {
      const checks = await checksOf(running, slug)
      assert.deepEqual(
        checks.map(({ n_pings: n, status }) => [n, status]),
        [[12, 'up']],
        slug,
      )
    }
  }
})

test('a check that a ping creates has a name-based id, and no id is given twice', async (t) => {
  const running = await build(t)
  const [project] = await sql<{ id: string }>(running.databaseUrl, "SELECT id FROM projects WHERE name = 'default'")
  const [secret] = await sql<{ namespace: string }>(running.databaseUrl, 'SELECT namespace FROM provisioning_namespace')
  const expected = (k: number) => nameBased(String(secret?.namespace), `${project?.id}/job/${k}`)
  const provision = async () => {
    assert.equal((await ping(running, `/ping/${key}/job?create=1`)).status, 201)
    return (await checksOf(running, 'job'))[0] as Check
  }
  const first = await provision()
  assert.equal(first.uuid, expected(0))
  await running.call('POST', `/api/v3/checks/${first.uuid}`, { slug: 'renamed' })
  const second = await provision()
  assert.equal(second.uuid, expected(1))
  await running.call('DELETE', `/api/v3/checks/${second.uuid}`)
  const third = await provision()
  assert.equal(third.uuid, expected(2))
  assert.deepEqual([third.n_pings, (await ping(running, `/ping/${second.uuid}`)).status], [1, 404])
})

/** A version 5 uuid, by RFC 9562. */
function nameBased(namespace: string, name: string): string {
  const bytes = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
    .subarray(0, 16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x50
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

test('a ping key opens only its own project, and an API key is not a ping key', async (t) => {
  const running = await build(t)
  await createCheck(running, { slug: 'job' })
  const made = await running.call(
    'POST',
    '/api/v3/projects/',
    { name: 'other' },
    { authorization: `Bearer ${adminToken}` },
  )
  const other = made.json() as { ping_key: string; api_key: string }
  assert.equal((await ping(running, `/ping/${other.ping_key}/job`)).status, 404)
  assert.equal((await ping(running, `/ping/${other.ping_key}/job?create=1`)).status, 201)
  assert.equal((await ping(running, `/ping/${keys.api_key}/job`)).status, 404)
  assert.deepEqual(
    (await checksOf(running)).map(({ slug, n_pings: n }) => `${slug} ${n}`),
    ['job 0'],
  )
})

test('pings over the limit of their check are answered 429 and not recorded, over all replicas', async (t) => {
  const running = await build(t)
  const replica = await build(t, { DATABASE_URL: running.databaseUrl })
  const { uuid } = await createCheck(running, { max_pings_per_minute: 10, slug: 'job' })
  const free = await createCheck(running)
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      ping(i % 2 ? running : replica, i % 3 ? `/ping/${uuid}` : `/ping/${key}/job/fail`),
    ),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 10)
  const refused = answers.find(({ status }) => status === 429)
  assert.equal(answers.filter(({ status }) => status === 429).length, 50)
  assert.equal(refused?.text, 'rate limit exceeded')
  const wait = Number(refused?.headers.get('retry-after'))
  // The clocks of two replicas differ by milliseconds, and a wait is rounded up.
  assert.ok(wait > 50 && wait <= 61, String(wait))
  assert.equal((await recorded(running, uuid)).length, 10)
  assert.equal((await ping(running, `/ping/${free.uuid}`)).status, 200)
  const changed = (await running.call('POST', `/api/v3/checks/${uuid}`, { max_pings_per_minute: null })).json()
  assert.deepEqual(['max_pings_per_minute' in changed, changed.n_pings], [false, 10])
  assert.equal((await ping(running, `/ping/${uuid}`)).status, 200)
})

test('track_runs watches every run, and is absent until set', async (t) => {
  const running = await build(t)
  const plain = await createCheck(running, { grace: 1 })
  const tracked = await createCheck(running, { grace: 1, track_runs: true })
  assert.deepEqual([plain.track_runs, tracked.track_runs], [undefined, true])
  const started = performance.now()
  for (const { uuid } of [plain, tracked]) {
    await ping(running, `/ping/${uuid}/start?rid=${rid}`)
    const second = crypto.randomUUID()
    await ping(running, `/ping/${uuid}/start?rid=${second}`)
    await ping(running, `/ping/${uuid}?rid=${second}`)
  }
  const status = async (uuid: string) => (await running.call('GET', `/api/v3/checks/${uuid}`)).json().status
  await eventually('the forgotten run to be noticed', async () => (await status(tracked.uuid)) === 'down')
  assert.ok(performance.now() - started > 900)
  assert.equal(await status(plain.uuid), 'up')
})
