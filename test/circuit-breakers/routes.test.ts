import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { adminToken, build, call, createReceiver, eventually, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'

const base = '/api/v1/circuit-breakers'
const admin = { authorization: `Bearer ${adminToken}` }

type Listed = { name: string; kind: string; state: string; failures: number; lastError: string | null }

const list = async ({ url }: Running, path = `${base}/status`): Promise<Listed[]> => {
  const answer = await call(url, 'GET', path, undefined, admin)
  assert.equal(answer.status, 200, answer.text)
  return answer.json().circuit_breakers as Listed[]
}

/** Fails so often at a destination that its breaker opens; returns the breaker's name. */
async function withOpenBreaker(t: TestContext, running: Running): Promise<string> {
  const far = await createReceiver(t, () => 500)
  const settings = { url: `${far.url}/T0PSECRET` }
  const channel = (
    await running.call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'T0PSECRET', settings })
  ).json().id as string
  for (let n = 0; n < 5; n++) await running.call('POST', `/api/v3/channels/${channel}/test/`)
  const { name } = (await list(running)).find(({ kind }) => kind === 'webhook') as Listed
  assert.equal(name.includes(channel.slice(0, 8)), false)
  return name
}

suite('the circuit breakers', () => {
  test('the operator lists the breakers, also at the short address, without names of hosts or people', async (t) => {
    const running = await build(t)
    const name = await withOpenBreaker(t, running)
    assert.match(name, /^webhook:[0-9a-f]{12}$/)
    for (const path of [`${base}/status`, `${base}/status/`, '/circuit-breaker', '/circuit-breaker/']) {
      const [database, webhook, ...others] = await list(running, path)
      assert.deepEqual(others, [])
      assert.deepEqual([database?.name, database?.state], ['database', 'closed'])
      assert.deepEqual(
        [webhook?.name, webhook?.state, webhook?.failures, webhook?.lastError],
        [name, 'open', 5, 'http_500'],
      )
      assert.doesNotMatch(JSON.stringify(webhook), /T0PSECRET|127\.0\.0\.1/)
    }
  })

  test('a breaker is reset by its name, with an audit entry', async (t) => {
    const running = await build(t)
    const info = t.mock.method(running.app.log, 'info')
    const name = await withOpenBreaker(t, running)
    for (const slash of ['', '/']) {
      const path = `${base}/${encodeURIComponent(name)}/reset${slash}`
      const headers = { ...admin, 'x-request-id': 'reset-1' }
      const answer = await call(running.url, 'POST', path, undefined, headers)
      assert.equal(answer.status, 200, answer.text)
      const { state, failures, openedAt } = answer.json()
      assert.deepEqual([state, failures, openedAt], ['closed', 0, null])
    }
    const [entry] = await sql(
      running.databaseUrl,
      "SELECT actor, target, detail, request_id FROM audit WHERE action = 'breaker.reset' ORDER BY at LIMIT 1",
    )
    const detail = { before: { state: 'open', failures: 5 }, after: { state: 'closed', failures: 0 } }
    assert.deepEqual(entry, { actor: 'admin', target: name, detail, request_id: 'reset-1' })

    const lines = info.mock.calls.map(({ arguments: [line] }) => line as { event?: string; breaker?: string })
    const told = lines.filter(({ event }) => event === 'admin.breaker_reset')
    assert.deepEqual(
      told.map(({ breaker }) => breaker),
      [name, name],
    )

    const unknown = await call(running.url, 'POST', `${base}/nobody/reset`, undefined, admin)
    assert.deepEqual([unknown.status, unknown.json().code], [404, 'not_found'])
  })

  test('all breakers are reset at once, whatever their names are', async (t) => {
    const running = await build(t)
    const name = await withOpenBreaker(t, running)
    for (const slash of ['', '/']) {
      const answer = await call(running.url, 'POST', `${base}/reset-all${slash}`, undefined, admin)
      assert.equal(answer.status, 200, answer.text)
      const states = (answer.json().circuit_breakers as Listed[]).map((breaker) => [breaker.name, breaker.state])
      assert.deepEqual(states, [
        ['database', 'closed'],
        [name, 'closed'],
      ])
    }
    const entries = await sql<{ detail: { before: object } }>(
      running.databaseUrl,
      "SELECT detail FROM audit WHERE action = 'breaker.reset_all' AND target = 'all' ORDER BY at",
    )
    const before = entries.map(({ detail }) => detail.before)
    assert.deepEqual(before, [{ [name]: { state: 'open', failures: 5 } }, {}])
  })

  test('only the operator may list and reset breakers', async (t) => {
    const running = await build(t)
    const without = await build(t, { ADMIN_TOKEN: '' })
    for (const [method, path] of [
      ['GET', `${base}/status`],
      ['GET', '/circuit-breaker'],
      ['POST', `${base}/database/reset`],
      ['POST', `${base}/reset-all`],
    ] as const) {
      const strangers: Record<string, string>[] = [{}, { 'x-api-key': keys.api_key }, { authorization: 'Bearer wrong' }]
      for (const headers of strangers)
        assert.equal((await call(running.url, method, path, undefined, headers)).status, 401, path)
      assert.equal((await call(without.url, method, path, undefined, admin)).status, 404, path)
    }
  })

  test('breakers are listed and reset while the database is unavailable', async (t) => {
    const running = await build(t)
    const { pathname } = new URL(running.databaseUrl.replace('@/', '@localhost/'))
    const name = pathname.slice(1)
    await sql(process.env.TEST_DATABASE_URL as string, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    await sql(
      process.env.TEST_DATABASE_URL as string,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1',
      [name],
    )
    const breaker = running.app.circuitBreakers.get('database', 'database')
    while (breaker.admits()) breaker.begin()?.fail('timeout')
    assert.ok((await list(running)).some(({ lastError }) => lastError !== null))
    const answer = await call(running.url, 'POST', `${base}/database/reset`, undefined, admin)
    assert.equal(answer.status, 200, answer.text)
    await sql(process.env.TEST_DATABASE_URL as string, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    await eventually('the reset is on record once the database is back', async () => {
      const rows = await sql(running.databaseUrl, "SELECT 1 FROM audit WHERE action = 'breaker.reset'")
      return rows.length === 1
    })
  })
})
