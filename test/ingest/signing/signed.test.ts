import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { Outcome } from '../../../src/ingest/signal.ts'
import { createFaultProxy } from '../../fault-proxy.ts'
import { build, eventually, keys, type Running } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'

const header = 'x-flatline-signature'
const nowS = () => Math.floor(Date.now() / 1000)

function signed(secret: string, request: string, body = '', at = nowS()): Record<string, string> {
  const mac = createHmac('sha256', secret).update(`${at}.${request}.${body}`).digest('hex')
  return { [header]: `t=${at},v1=${mac}` }
}

/** A check that requires signatures. */
async function create({ call }: Running, more: object = {}) {
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'signed', slug: 'signed', ...more })).json()
  const rotate = async (overlap = 0) => {
    const answer = await call('POST', `/api/v3/checks/${uuid}/signing-secret/rotate/?overlap=${overlap}`)
    assert.equal(answer.status, 200, answer.text)
    return answer.json() as { signing_secret: string; previous_until: string | null }
  }
  const { signing_secret: secret } = await rotate()
  const read = async () => (await call('GET', `/api/v3/checks/${uuid}`)).json()
  return { uuid: String(uuid), path: `/ping/${uuid}`, secret, rotate, read }
}

test('no way to send a heartbeat to a check with a signing secret works without a signature', async (t) => {
  const running = await build(t)
  const { call, app } = running
  const { uuid, path, read } = await create(running, { push_token: 'push-token-0123456789' })
  const ping = async (method: string, address: string, headers: Record<string, string> = {}) => {
    const { status, text } = await call(method, address, method === 'POST' ? 'body' : undefined, headers)
    return `${status} ${text}`
  }
  const missing = '401 this check requires signed heartbeats (X-Flatline-Signature)'
  for (const address of [
    path,
    `${path}/start`,
    `${path}/fail`,
    `${path}/7`,
    `/${uuid}`,
    `/ping/${keys.ping_key}/signed`,
  ])
    for (const method of ['GET', 'POST', 'PUT'])
      assert.equal(await ping(method, address), missing, `${method} ${address}`)
  assert.equal(await ping('HEAD', path), '401 ')
  assert.match(await ping('GET', '/api/push/push-token-0123456789'), /^401 \{"ok":false,"msg":"this check requires/)

  for (const check of [uuid, 'signed'])
    for (const key of [keys.api_key, keys.ping_key]) {
      // A signature of the upload is none of its entries.
      const headers = { 'x-api-key': key, ...signed('x', 'POST /api/v3/heartbeats/') }
      const { accepted, rejected } = (await call('POST', '/api/v3/heartbeats/', [{ check }], headers)).json()
      assert.deepEqual([accepted, (rejected as object[]).length], [0, 1])
    }
  const mail = await new Promise<Outcome | undefined>((resolve) =>
    app.heartbeats.receive(
      {
        target: { by: 'id', checkId: uuid, within: null },
        ...{ kind: 'success', exitStatus: null, rid: null, sentAt: null, dedupeKey: null, body: null, requestId: 'm' },
        mail: { subject: '', text: '' },
        sender: { address: '', remoteAddr: '', scheme: 'email', method: '', ua: '' },
      },
      (_error, outcome) => resolve(outcome),
    ),
  )
  assert.deepEqual(mail, { unsigned: 'missing' })
  const document = await read()
  assert.deepEqual([document.n_pings, document.status, document.signed], [0, 'new', true])
  const metrics = (await call('GET', '/metrics')).text
  assert.match(metrics, /^heartbeats_received_total\{kind="start",outcome="unsigned",tenant=""\} 3$/m)
})

test('a signature covers time, method, address and body, and counts once', async (t) => {
  const running = await build(t)
  const { call } = running
  const { uuid, path, secret, rotate, read } = await create(running, { push_token: 'push-token-0123456789' })
  const other = (await call('POST', '/api/v3/checks/', { name: 'other' })).json()
  const send = async (request: string, headers: Record<string, string>, body = '') => {
    const [method = '', address = ''] = request.split(' ')
    return (await call(method, address, body === '' ? undefined : body, headers)).text
  }
  const count = async () => (await read()).n_pings
  const get = `GET ${path}`
  const first = signed(secret, get)
  assert.equal(await send(get, first), 'OK')
  assert.equal(await send(get, first), 'OK', 'a retry whose first answer was lost')
  assert.equal(await count(), 1, 'a repeated request counts once')
  const post = `POST ${path}/3?rid=11111111-1111-4111-8111-111111111111`
  assert.equal(await send(post, signed(secret, post, 'output'), 'output'), 'OK')
  const slug = `POST /ping/${keys.ping_key}/signed`
  assert.equal(await send(slug, signed(secret, slug, 'x'), 'x'), 'OK')
  const push = 'GET /api/push/push-token-0123456789?status=up&msg=hello'
  assert.equal(await send(push, signed(secret, push)), '{"ok":true}')
  assert.equal(await count(), 4)

  const wrong = 'the signature does not match'
  const old = 'the time of the signature is more than 5 minutes off'
  for (const [what, headers, body, expected] of [
    ['another method', signed(secret, `POST ${path}`), '', wrong],
    ['another action', signed(secret, `${get}/fail`), '', wrong],
    ['another body', signed(secret, get, 'b'), '', wrong],
    ['another secret', signed(`${secret}x`, get), '', wrong],
    ['too old', signed(secret, get, '', nowS() - 310), '', old],
    ['from the future', signed(secret, get, '', nowS() + 310), '', old],
    [
      'no signature',
      { [header]: 'sha256=abc' },
      '',
      'X-Flatline-Signature must be t=<unix seconds>,v1=<64 hex digits>',
    ],
  ] as const)
    assert.equal(await send(get, headers, body), expected, what)
  assert.equal(await count(), 4)

  const { signing_secret: next, previous_until } = await rotate(3600)
  assert.ok(Date.parse(String(previous_until)) > Date.now())
  for (const one of [secret, next]) assert.equal(await send(get, signed(one, get)), 'OK')
  const { signing_secret: last } = await rotate()
  for (const one of [secret, next]) assert.equal(await send(get, signed(one, get, '', nowS() - 1)), wrong)
  assert.equal(await send(get, signed(last, get)), 'OK')
  const everything = JSON.stringify([
    await read(),
    (await call('GET', '/api/v3/definitions/')).json(),
    await sql(running.databaseUrl, 'SELECT * FROM audit'),
    await sql(
      running.databaseUrl,
      "SELECT encode(signing_secret, 'escape') FROM checks WHERE signing_secret IS NOT NULL",
    ),
  ])
  for (const one of [secret, next, last]) assert.ok(!everything.includes(one))

  assert.equal(await send(`GET /ping/${other.uuid}`, {}), 'OK', 'a check without a secret needs no signature')
  assert.equal((await call('DELETE', `/api/v3/checks/${uuid}/signing-secret`)).status, 200)
  assert.equal(await send(get, {}), 'OK')
  assert.equal((await read()).signed, undefined)
})

test('signatures of spooled heartbeats are verified when they are replayed', async (t) => {
  const proxy = await createFaultProxy(t, await createDatabase(t))
  const running = await build(t, { DATABASE_URL: proxy.url })
  const { path, secret, read } = await create(running)
  const { call } = running
  const get = `GET ${path}`
  assert.equal((await call('GET', path, undefined, signed(secret, get))).text, 'OK')
  await proxy.set('refuse')
  const dated = signed(secret, get, '', nowS() - 2)
  for (const headers of [{}, signed('wrong', get), dated, dated])
    assert.equal((await call('GET', path, undefined, headers)).text, 'OK', 'nobody can tell meanwhile')
  await proxy.set('pass')
  await eventually('the replay', async () => {
    const status = (await call('GET', '/status', undefined, {})).json()
    return status.data_staleness_ms === 0 && Number((await read()).n_pings) >= 2
  })
  assert.equal((await read()).n_pings, 2, 'the one with a signature, once')
  assert.match((await call('GET', '/metrics')).text, /^heartbeats_received_total\{.*outcome="dropped".*\} 2$/m)
})

test('the example of the documentation signs a heartbeat with openssl and curl', async (t) => {
  const running = await build(t)
  const { path, secret, read } = await create(running)
  const page = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8')
  const example = page
    .split('```sh\n')
    .map((part) => part.split('```')[0] ?? '')
    .find((part) => part.includes('openssl dgst'))
  assert.ok(example)
  const env = { ...process.env, PING_URL: running.url + path, SIGNING_SECRET: secret }
  const { stdout } = await promisify(execFile)('sh', ['-euc', example], { env })
  assert.equal(stdout.trim(), 'OK')
  assert.equal((await read()).n_pings, 1)
})
