import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { build } from '../../helper.ts'
import { sql } from '../../postgres.ts'

const rid = '2c1d0a52-8a44-4d6c-9d1e-0d9f4b7f7a11'

type PingRow = {
  type: string
  n: number
  method: string
  rid: string | null
  duration?: number
  body_url: string | null
}

test('every ping method answers OK with the headers of the protocol', async (t) => {
  const { call } = await build(t, { PING_BODY_LIMIT: '10' })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
    const { status, text, headers } = await call(method, `/ping/${uuid}`, undefined, {})
    assert.deepEqual([status, text], [200, method === 'HEAD' ? '' : 'OK'])
    assert.equal(headers.get('access-control-allow-origin'), '*')
    assert.equal(headers.get('ping-body-limit'), '10')
    assert.match(String(headers.get('cache-control')), /no-store/)
  }
  assert.equal((await call('OPTIONS', `/ping/${uuid}`, undefined, {})).status, 204)
  for (const method of ['DELETE', 'PATCH'])
    assert.equal((await call(method, `/ping/${uuid}`, undefined, {})).status, 405)
  assert.equal((await call('GET', `/api/v3/checks/${uuid}`)).json().n_pings, 4)
})

test('every ping address records its kind, and wrong addresses are refused', async (t) => {
  const { call, databaseUrl } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { grace: 3600 })).json()
  const cases: [string, number, string][] = [
    ['', 200, 'OK'],
    ['/', 200, 'OK'],
    ['/start', 200, 'OK'],
    ['/fail', 200, 'OK'],
    ['/log', 200, 'OK'],
    ['/0', 200, 'OK'],
    ['/007', 200, 'OK'],
    ['/255', 200, 'OK'],
    ['/256', 400, 'invalid url format'],
    ['/-1', 404, 'not found'],
    ['/bogus', 404, 'not found'],
    ['/constructor', 404, 'not found'],
    [`?rid=${rid.toUpperCase()}`, 200, 'OK'],
    ['?rid=', 400, 'invalid uuid format'],
    ['?rid=x', 400, 'invalid uuid format'],
    [`?rid=x&rid=${rid}`, 200, 'OK'],
    [`?rid=${rid}&rid=x`, 400, 'invalid uuid format'],
  ]
  for (const [suffix, status, text] of cases) {
    const answer = await call('GET', `/ping/${uuid}${suffix}`, undefined, {})
    assert.deepEqual([answer.status, answer.text], [status, text], suffix)
  }
  const unknown = crypto.randomUUID()
  for (const suffix of ['', '/start', '/256', '?rid=x']) {
    const answer = await call('GET', `/ping/${unknown}${suffix}`, undefined, {})
    assert.deepEqual([answer.status, answer.text], [404, 'not found'], suffix)
  }
  for (const bad of [String(uuid).toUpperCase(), String(uuid).replaceAll('-', ''), 'x']) {
    assert.equal((await call('GET', `/ping/${bad}`, undefined, {})).status, 404, bad)
  }
  const rows = await sql<{ kind: string; exit_status: number | null; rid: string | null }>(
    databaseUrl,
    'SELECT kind, exit_status, rid FROM heartbeats ORDER BY n',
  )
  assert.deepEqual(
    rows.map((row) => `${row.kind} ${row.exit_status ?? '-'} ${row.rid === null ? '-' : row.rid}`),
    [
      'success - -',
      'success - -',
      'start - -',
      'fail - -',
      'log - -',
      'success 0 -',
      'fail 7 -',
      'fail 255 -',
      `success - ${rid}`,
      `success - ${rid}`,
    ],
  )
})

test('bodies are stored as they came, cut at the limit, whatever their content type', async (t) => {
  const { url, call } = await build(t, { PING_BODY_LIMIT: '8' })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const bytes = Buffer.from([0xff, 0x00, 0xfe, 0x41])
  const sent: [Buffer | string, string | undefined][] = [
    [bytes, 'application/json'],
    ['{not json', 'application/json; charset=nonsense'],
    ['a=b', 'no media type at all'],
    [Buffer.alloc(3_000_000, 'x'), undefined],
    ['', 'text/plain'],
  ]
  for (const [body, type] of sent) {
    const response = await fetch(`${url}/ping/${uuid}`, {
      method: 'POST',
      body,
      headers: type ? { 'content-type': type } : {},
    })
    assert.equal(response.status, 200, `${type}: ${await response.text()}`)
  }
  const body = async (n: number) => {
    const response = await fetch(`${url}/api/v3/checks/${uuid}/pings/${n}/body`, {
      headers: { 'x-api-key': (await import('../../helper.ts')).keys.api_key },
    })
    return response.status === 200 ? Buffer.from(await response.arrayBuffer()) : response.status
  }
  assert.deepEqual(await body(1), bytes)
  assert.deepEqual(await body(2), Buffer.from('{not jso'))
  assert.deepEqual(await body(3), Buffer.from('a=b'))
  assert.deepEqual(await body(4), Buffer.from('xxxxxxxx'))
  assert.equal(await body(5), 404)
  assert.equal(await body(99), 404)
})

test('the history lists the newest first, with runs and their durations', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  await call('GET', `/ping/${uuid}/start?rid=${rid}`, undefined, {})
  await call('POST', `/ping/${uuid}?rid=${rid}`, 'done', {
    'user-agent': 'u'.repeat(300),
    'x-forwarded-for': '203.0.113.9:77, 10.0.0.1',
    'x-forwarded-proto': 'https',
  })
  await call('GET', `/ping/${uuid}`, undefined, { 'x-forwarded-for': 'garbage' })
  const pings = (await call('GET', `/api/v3/checks/${uuid}/pings/`)).json().pings as (PingRow &
    Record<string, unknown>)[]
  assert.deepEqual(
    pings.map(({ type, n, method }) => `${n} ${type} ${method}`),
    ['3 success GET', '2 success POST', '1 start GET'],
  )
  assert.deepEqual(
    [pings[1]?.remote_addr, pings[1]?.scheme, String(pings[1]?.ua).length, pings[1]?.rid],
    ['203.0.113.9', 'https', 200, rid],
  )
  assert.ok((pings[1]?.duration as number) >= 0)
  assert.match(String(pings[1]?.body_url), /\/pings\/2\/body$/)
  assert.equal(pings[0]?.remote_addr, '127.0.0.1')
  assert.match(String(pings[0]?.date), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/)
  assert.equal(((await call('GET', `/api/v3/checks/${uuid}/pings/?limit=1`)).json().pings as unknown[]).length, 1)
  assert.equal((await call('GET', `/api/v3/checks/${uuid}/pings/?limit=0`)).status, 400)
})

test('filters decide the kind of a ping', async (t) => {
  const { call } = await build(t)
  const settings = {
    methods: 'POST',
    filter_http_body: true,
    failure_kw: 'ERROR, FATAL',
    success_kw: 'done',
    start_kw: 'begin',
  }
  const { uuid } = (await call('POST', '/api/v3/checks/', settings)).json()
  await call('GET', `/ping/${uuid}`, undefined, {})
  for (const body of ['done with ERROR', 'all done', 'begin', 'hello', 'DONE'])
    await call('POST', `/ping/${uuid}/fail`, body, {})
  const pings = (await call('GET', `/api/v3/checks/${uuid}/pings/`)).json().pings as PingRow[]
  assert.deepEqual(pings.map(({ type }) => type).reverse(), ['ign', 'fail', 'success', 'start', 'ign', 'ign'])
})

test('a paused check that only its owner resumes ignores every ping; a success resumes any other', async (t) => {
  const { call } = await build(t)
  for (const [manual, status] of [
    [true, 'paused'],
    [false, 'up'],
  ] as const) {
    const { uuid } = (await call('POST', '/api/v3/checks/', { manual_resume: manual })).json()
    await call('POST', `/api/v3/checks/${uuid}/pause`)
    await call('GET', `/ping/${uuid}`, undefined, {})
    assert.equal((await call('GET', `/api/v3/checks/${uuid}`)).json().status, status)
  }
})

test('many parallel pings are all counted, without gap or loss', async (t) => {
  const { call, databaseUrl } = await build(t)
  const ids = await Promise.all(
    Array.from({ length: 5 }, async () => String((await call('POST', '/api/v3/checks/', {})).json().uuid)),
  )
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, i) => call('GET', `/ping/${ids[i % 5]}`, undefined, {})),
  )
  assert.ok(answers.every(({ status }) => status === 200))
  const rows = await sql<{ rows: string; distinct: string; newest: string; n: string }>(
    databaseUrl,
    `SELECT count(*) AS rows, count(DISTINCT h.n) AS distinct, max(h.n) AS newest, max(m.n) AS n
     FROM checks m JOIN heartbeats h ON h.check_id = m.id GROUP BY m.id`,
  )
  assert.deepEqual(
    rows,
    Array.from({ length: 5 }, () => ({ rows: '100', distinct: '100', newest: '100', n: '100' })),
  )
})

test('a full queue answers 503 with Retry-After and records nothing', async (t) => {
  const { call, app, databaseUrl } = await build(t, {
    FLATLINE__INGEST__QUEUE_MAX_ENTRIES: '1',
    FLATLINE__INGEST__BATCH_MAX: '1',
  })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const answers = await Promise.all(Array.from({ length: 100 }, () => app.inject({ url: `/ping/${uuid}` })))
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  assert.ok(refused.length > 0)
  assert.equal(refused[0]?.headers['retry-after'], '1')
  const [row] = await sql<{ n: string }>(databaseUrl, 'SELECT n FROM checks')
  assert.equal(Number(row?.n), answers.length - refused.length)
})

test('a steady success touches no index of checks', async (t) => {
  const { call, databaseUrl } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', { timeout: 3600 })).json()
  await call('GET', `/ping/${uuid}`, undefined, {})
  const [before] = await sql<{ look_at: Date }>(databaseUrl, 'SELECT look_at FROM checks')
  for (let i = 0; i < 20; i++) await call('GET', `/ping/${uuid}`, undefined, {})
  const [after] = await sql<{ look_at: Date; deadline: Date }>(databaseUrl, 'SELECT look_at, deadline FROM checks')
  assert.deepEqual(after?.look_at, before?.look_at)
  assert.ok((after?.deadline as Date) > (after?.look_at as Date))
})

test('the body of a GET is stored too', async (t) => {
  const { url, call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  await new Promise<void>((resolve, reject) => {
    const sent = request(`${url}/ping/${uuid}`, { method: 'GET', headers: { 'content-length': '7' } }, (response) =>
      response.resume().once('end', resolve),
    )
    sent.once('error', reject).end('getbody')
  })
  assert.equal((await call('GET', `/api/v3/checks/${uuid}/pings/1/body`)).text, 'getbody')
})

test('an endless zone in the address of a sender harms nobody', async (t) => {
  const { call } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const zoned = { 'x-forwarded-for': `fe80::1%${'a'.repeat(500)}` }
  assert.equal((await call('GET', `/ping/${uuid}`, undefined, zoned)).status, 200)
  const [ping] = (await call('GET', `/api/v3/checks/${uuid}/pings/`)).json().pings as { remote_addr: string }[]
  assert.equal(ping?.remote_addr, 'fe80::1')
})

test('a day without a partition gets one when its first heartbeat comes', async (t) => {
  const { call, databaseUrl } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '')
  await sql(databaseUrl, `DROP TABLE heartbeats_${today}; DROP TABLE heartbeat_bodies_${today}`)
  assert.equal((await call('POST', `/ping/${uuid}`, 'body', {})).status, 200)
})
