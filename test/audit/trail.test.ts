import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSignIns } from '../../src/audit/sign-ins.ts'
import { adminToken, build, call as callAt, createReceiver, eventually, keys } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

type Entry = {
  id: number
  at: string
  project: string | null
  actor: string
  address: string | null
  action: string
  target: string
  detail: Record<string, never> & { before?: Record<string, unknown>; after?: Record<string, unknown> }
  request_id: string | null
}
type Page = { entries: Entry[]; next: string | null }

const admin = { authorization: `Bearer ${adminToken}` }

test('every change has an audit entry with caller, address, old and new value, and request', async (t) => {
  const { call, url, databaseUrl } = await build(t)
  const receiver = await createReceiver(t)
  const as = (id: string) => ({ 'x-api-key': keys.api_key, 'x-request-id': id })
  const secret = `${receiver.url}/very-secret-path`
  const channel = (
    await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: secret } }, as('r-1'))
  ).json()
  const check = (
    await call('POST', '/api/v3/checks/', { name: 'job', timeout: 60, grace: 60, channels: channel.id }, as('r-2'))
  ).json()
  const one = `/api/v3/checks/${check.uuid}`
  await call('POST', one, { timeout: 120, channels: '', desc: 'd'.repeat(500) }, as('r-3'))
  await call('POST', `${one}/pause`, '', as('r-4'))
  await call('POST', `${one}/resume`, '', as('r-5'))
  await call('PATCH', `/api/v3/channels/${channel.id}/`, { name: 'other', settings: { url: `${secret}/2` } }, as('r-6'))
  await call('DELETE', one, undefined, as('r-7'))
  await call('DELETE', `/api/v3/channels/${channel.id}/`, undefined, as('r-8'))

  const changesOf = ({ entries }: Page) => entries.filter(({ action }) => action !== 'auth.success')
  const entries = changesOf((await call('GET', '/api/v3/audit/?actor=api_key')).json() as Page)
  assert.deepEqual(
    entries.map(({ request_id, action, target }) => [request_id, action, target]),
    [
      ['r-8', 'channel.delete', channel.id],
      ['r-7', 'check.delete', check.uuid],
      ['r-6', 'channel.update', channel.id],
      ['r-5', 'check.resume', check.uuid],
      ['r-4', 'check.pause', check.uuid],
      ['r-3', 'check.update', check.uuid],
      ['r-2', 'check.create', check.uuid],
      ['r-1', 'channel.create', channel.id],
    ],
  )
  const detailOf = (id: string) => entries.find(({ request_id }) => request_id === id)?.detail
  assert.deepEqual(detailOf('r-2'), { after: { name: 'job', timeout: 60, grace: 60 } })
  assert.deepEqual(detailOf('r-3'), {
    before: { timeout: 60, desc: '', channels: channel.id },
    after: { timeout: 120, desc: 'd'.repeat(200), channels: '' },
  })
  assert.deepEqual(detailOf('r-4'), { before: { status: 'new' }, after: { status: 'paused' } })
  assert.deepEqual(detailOf('r-6'), { before: { name: 'hook' }, after: { name: 'other' }, settings: 'replaced' })
  assert.match(String(entries[0]?.at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/)
  assert.ok(entries.every(({ address, project }) => address === '127.0.0.1' && project))

  const made = (await callAt(url, 'POST', '/api/v3/projects/', { name: 'second' }, admin)).json()
  const rotate = `/api/v3/projects/${made.id}/keys/api_key/rotate/`
  const rotated = (await callAt(url, 'POST', rotate, undefined, admin)).json()
  const others = (await callAt(url, 'GET', '/api/v3/audit', undefined, { 'x-api-key': String(rotated.api_key) })).json()
  assert.deepEqual(
    changesOf(others as Page).map(({ action, actor, detail }) => [action, actor, detail]),
    [
      ['project.rotate_key', 'admin', { kind: 'api_key' }],
      ['project.create', 'admin', { name: 'second' }],
    ],
  )
  const stored = JSON.stringify(await sql(databaseUrl, 'SELECT * FROM audit'))
  for (const text of [
    'very-secret-path',
    ...Object.values(keys),
    adminToken,
    String(made.api_key),
    String(rotated.api_key),
  ])
    assert.ok(!stored.includes(text))
})

test('the audit log has pages and filters; a project sees its own, the operator all, a read-only key none', async (t) => {
  const { call, url } = await build(t)
  for (let i = 0; i < 5; i++) await call('POST', '/api/v3/checks/', { name: `job ${i}` })
  await callAt(url, 'POST', '/api/v3/projects/', { name: 'second' }, admin)
  const list = async (query: string, headers: Record<string, string> = admin) => {
    const answer = await call('GET', `/api/v3/audit/${query}`, undefined, headers)
    assert.equal(answer.status, 200, answer.text)
    return answer.json() as Page
  }
  await eventually('both sign-ins', async () => (await list('?action=auth.success')).entries.length === 2)
  const all = await list('')
  assert.ok(all.entries.some(({ action, actor }) => action === 'project.create' && actor === 'system'))
  const seen: number[] = []
  for (let after = ''; ; ) {
    const page = await list(`?limit=2${after}`)
    seen.push(...page.entries.map(({ id }) => id))
    if (page.next === null) break
    after = `&after=${page.next}`
  }
  assert.deepEqual(
    seen,
    all.entries.map(({ id }) => id),
  )
  const creations = (await list('?action=check.create')).entries
  assert.equal(creations.length, 5)
  const middle = encodeURIComponent(String(creations[2]?.at))
  const since = await list(`?from=${middle}`)
  assert.ok(since.entries.length >= 3 && since.entries.length < all.entries.length)
  const own = await list('', { 'x-api-key': keys.api_key })
  const [{ project } = { project: null }] = own.entries
  assert.deepEqual(new Set(own.entries.map((entry) => entry.project)), new Set([project]))
  assert.deepEqual((await list(`?project=${project}`)).entries, own.entries)

  const status = async (query: string, headers: Record<string, string>) =>
    (await call('GET', `/api/v3/audit/${query}`, undefined, headers)).status
  assert.equal(await status('', { 'x-api-key': keys.api_key_readonly }), 401)
  assert.equal(await status('', {}), 401)
  const foreign = '?project=00000000-0000-4000-8000-000000000000'
  assert.equal(await status(foreign, { 'x-api-key': keys.api_key }), 403)
  for (const query of ['?from=now', '?after=x', '?limit=0', '?acton=x'])
    assert.equal(await status(query, admin), 400, query)
})

test('the first use of a credential from a network within a day is one entry, over all replicas', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  const env = { DATABASE_URL, TRUST_PROXY: 'loopback' }
  const [first, second] = [await build(t, env), await build(t, env)]
  const from = (address: string) => ({ 'x-forwarded-for': address })
  const key = { 'x-api-key': keys.api_key }
  const rows = async () =>
    (
      await sql<{ actor: string; target: string; address: string; project_id: string | null }>(
        DATABASE_URL,
        "SELECT * FROM audit WHERE action = 'auth.success' ORDER BY id",
      )
    ).map(({ actor, target, address, project_id }) => `${actor} ${target} ${address} ${project_id !== null}`)
  const entry = [{ check: 'job' }]
  await callAt(first.url, 'POST', '/api/v3/heartbeats/', entry, { ...key, ...from('192.0.2.9') })
  await callAt(first.url, 'GET', `/ping/${keys.ping_key}/job`, undefined, from('192.0.2.9'))
  for (const { url } of [first, second]) {
    for (const address of ['192.0.2.1', '2001:db8::1', '2001:db8::2'])
      assert.equal((await callAt(url, 'GET', '/api/v3/checks/', undefined, { ...key, ...from(address) })).status, 200)
    assert.equal(
      (await callAt(url, 'GET', '/api/v3/projects/', undefined, { ...admin, ...from('192.0.2.1') })).status,
      200,
    )
  }
  const expected = [
    'admin 192.0.2.1 192.0.2.1 false',
    'api_key 192.0.2.1 192.0.2.1 true',
    'api_key 2001:db8:0:0:: 2001:db8::1 true',
  ]
  await eventually('the entries', async () => (await rows()).length === 3)
  // A close writes what still waits.
  await Promise.all([first.app.close(), second.app.close()])
  assert.deepEqual((await rows()).sort(), expected)
})

test('a sign-in waits for the database, counts again after a day, and addresses are bounded', async () => {
  const written: unknown[] = []
  let now = 1_000_000
  let isAway = true
  const query = async ({ text }: { text: string }, values: unknown[]) => {
    if (!text.includes('INSERT')) return []
    written.push(values)
    return [{ id: 1 }]
  }
  const transaction = async (work: (tx: never) => Promise<unknown>) => {
    if (isAway) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
    return work({ query } as never)
  }
  const log = { info() {}, error() {} }
  const signIns = createSignIns({ database: { transaction } as never, now: () => now, log })
  const note = (address: string) => signIns.note({ address, actor: 'admin', projectId: '', requestId: 'r' })
  note('192.0.2.1')
  await assert.rejects(signIns.flush())
  isAway = false
  await signIns.flush()
  now += 86_399_999
  note('192.0.2.1')
  await signIns.flush()
  assert.equal(written.length, 1)
  now += 1
  note('192.0.2.1')
  await signIns.flush()
  assert.equal(written.length, 2)
  for (let i = 0; i < 20_000; i++) note(`10.0.${i >> 8}.${i & 255}`)
  await signIns.flush()
  assert.equal(written.length, 2 + 9_999)
})

test('failed authentications make one audit entry per address and minute, with their count and reasons', async (t) => {
  const { call, databaseUrl } = await build(t)
  const wrong: Record<string, string>[] = [
    { 'x-api-key': 'x'.repeat(32) },
    { 'x-api-key': 'y'.repeat(32) },
    { 'x-api-key': keys.ping_key },
    {},
  ]
  const rows = () =>
    sql<{ target: string; detail: { count: number; reasons: Record<string, number> }; project_id: string | null }>(
      databaseUrl,
      "SELECT * FROM audit WHERE action = 'auth.failure' ORDER BY id",
    )
  const total = async () => (await rows()).reduce((sum, { detail }) => sum + detail.count, 0)
  for (const headers of wrong) assert.equal((await call('GET', '/api/v3/checks/', undefined, headers)).status, 401)
  await eventually('the first entry', async () => (await total()) === 4)
  const token = { authorization: `Bearer ${'z'.repeat(40)}` }
  assert.equal((await call('GET', '/api/v3/projects/', undefined, token)).status, 401)
  const readOnly = { 'x-api-key': keys.api_key_readonly }
  assert.equal((await call('POST', '/api/v3/checks/', {}, readOnly)).status, 401)
  await eventually('the rest', async () => (await total()) === 6)

  const found = await rows()
  // The minute may have turned in between.
  assert.ok(found.length <= 4, `${found.length} entries`)
  assert.ok(found.every(({ target }) => target === '127.0.0.1'))
  const reasons: Record<string, number> = {}
  for (const { detail } of found)
    for (const [reason, count] of Object.entries(detail.reasons)) reasons[reason] = (reasons[reason] ?? 0) + count
  assert.deepEqual(reasons, { wrong_key: 2, missing: 2, wrong_token: 1, read_only: 1 })
  assert.equal(
    found.filter(({ project_id }) => project_id !== null).length,
    1,
    'a failure with the key of a project belongs to the project',
  )
})
