import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { addressOf } from '../../src/replicas/identity.ts'
import { replicaHeader } from '../../src/replicas/peers.ts'
import { build } from '../helper.ts'
import { encodeEntry } from '../ingest/failover/spool-entry.ts'
import { received } from '../ingest/received.ts'
import { sql } from '../postgres.ts'

const token = 'a-token-that-only-the-replica-knows'
const tokenHash = createHash('sha256').update(token).digest('hex')
const bearer = { authorization: `Bearer ${token}` }

async function withReplica(databaseUrl: string): Promise<string> {
  const id = randomUUID()
  await sql(
    databaseUrl,
    `INSERT INTO replicas (id, seen_at, spools, heard_through, token_hash) VALUES ($1, now(), true, now() - interval '1 minute', $2)`,
    [id, tokenHash],
  )
  return id
}

const spooled = (checkId: string, at: number, body = Buffer.from('kept')) =>
  encodeEntry(received({ id: randomUUID(), checkId, at, remoteAddr: '10.0.0.1', ua: 'curl', body, requestId: '' }))

const post = (url: string, path: string, body: Buffer, headers: Record<string, string>) =>
  fetch(url + path, { method: 'POST', body, headers: { 'content-type': 'application/octet-stream', ...headers } })

test('heartbeats from another replica are recorded together with its report', async (t) => {
  const { url, call, databaseUrl } = await build(t)
  const check = String((await call('POST', '/api/v3/checks/', {})).json().uuid)
  const id = await withReplica(databaseUrl)
  const at = Date.now() - 2000
  const path = `/replicas/${id}/heartbeats?heard_through=${at}&spools=false`
  const answer = await post(url, path, Buffer.concat([spooled(check, at), spooled(check, at + 5)]), bearer)
  assert.equal(answer.status, 204, await answer.text())
  const { n_pings: count } = (await call('GET', `/api/v3/checks/${check}`)).json()
  assert.equal(count, 2)
  const [row] = await sql<{ heard_through: Date; spools: boolean }>(
    databaseUrl,
    'SELECT * FROM replicas WHERE id = $1',
    [id],
  )
  assert.deepEqual([row?.heard_through.getTime(), row?.spools], [at, false])
})

test('a heartbeat that is larger than a segment can be handed over', async (t) => {
  const { url, call, databaseUrl } = await build(t, { FLATLINE__SPOOL__SEGMENT_BYTES: '4096' })
  const check = String((await call('POST', '/api/v3/checks/', {})).json().uuid)
  const id = await withReplica(databaseUrl)
  const at = Date.now() - 2000
  const large = spooled(check, at, Buffer.alloc(16_777_216))
  const answer = await post(url, `/replicas/${id}/heartbeats?heard_through=${at}&spools=false`, large, bearer)
  assert.equal(answer.status, 204, await answer.text())
})

test('a caller that is not a replica cannot hand heartbeats over', async (t) => {
  const { url, call, databaseUrl } = await build(t)
  const check = String((await call('POST', '/api/v3/checks/', {})).json().uuid)
  const id = await withReplica(databaseUrl)
  const body = spooled(check, Date.now())
  const path = (replica: string) => `/replicas/${replica}/heartbeats?heard_through=1&spools=true`
  const answers = await Promise.all([
    post(url, path(id), body, {}),
    post(url, path(id), body, { authorization: 'Bearer another' }),
    post(url, path(id), body, { authorization: `Basic ${token}` }),
    post(url, path(randomUUID()), body, bearer),
    post(url, path('x'), body, bearer),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [401, 401, 401, 401, 401],
  )
  assert.equal((await call('GET', `/api/v3/checks/${check}`)).json().n_pings, 0)
})

test('a replica says whether it is the requested process', async (t) => {
  const { url, databaseUrl } = await build(t)
  const [row] = await sql<{ id: string; address: string; name: string }>(databaseUrl, 'SELECT * FROM replicas')
  assert.equal(row?.address, url)
  assert.ok(row?.name)
  for (const [asked, status] of [
    [row?.id, 204],
    [randomUUID(), 404],
  ] as const) {
    const answer = await fetch(`${url}/replicas/${asked}`)
    assert.deepEqual([answer.status, answer.headers.get(replicaHeader)], [status, row?.id], 'and who answers instead')
  }
})

test('a replica is reached at its own address, or at the first external one', () => {
  const at = (address: string, family: string) => ({ address, family, port: 8000 })
  const face = (address: string, internal: boolean) => ({
    ...{ address, internal, family: 'IPv4' as const, netmask: '', mac: '', cidr: null },
  })
  const interfaces = { lo: [face('127.0.0.1', true)], eth0: [face('10.1.2.3', false)] }
  assert.equal(addressOf(at('127.0.0.1', 'IPv4'), interfaces), 'http://127.0.0.1:8000')
  assert.equal(addressOf(at('0.0.0.0', 'IPv4'), interfaces), 'http://10.1.2.3:8000')
  assert.equal(addressOf(at('::1', 'IPv6'), interfaces), 'http://[::1]:8000')
  assert.equal(addressOf(at('0.0.0.0', 'IPv4'), { lo: interfaces.lo }), null)
  assert.equal(addressOf(null, interfaces), null)
})
