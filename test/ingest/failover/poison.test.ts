// Whatever is sent while the database is unavailable must leave the spool again, in any order, however often the
// replay is interrupted; and what the database still refuses must not block other heartbeats.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ProjectRef, pingKinds, type Received, uploadKinds } from '../../../src/ingest/signal.ts'
import { encodeRecord } from '../../../src/spool/records.ts'
import { createFaultProxy } from '../../fault-proxy.ts'
import { adminToken, build, eventually, keys, type Running, scratchDir } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { startService } from '../../scenarios/service.ts'
import { encodeEntry, spoolEntry } from './spool-entry.ts'

const stranger = 'abcdefghijklmnopqrstuv'

/** Nothing waits to be replayed. Damaged segments are kept aside. */
const emptied = (dataDir: string) =>
  eventually(
    'an empty spool',
    async () => {
      const left = await readdir(join(dataDir, 'spool'), { recursive: true })
      return left.every((path) => !path.endsWith('.spool') || path.startsWith('unreadable'))
    },
    60_000,
  )

const make = async ({ call }: Running, settings: object) =>
  String((await call('POST', '/api/v3/checks/', { timeout: 3600, grace: 3600, ...settings })).json().uuid)

/** Spools of a process that is gone, one directory for each list of segments. */
async function abandon(dataDir: string, segments: readonly Buffer[]): Promise<void> {
  const dir = join(dataDir, 'spool', 'abandoned')
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'owner.json'), JSON.stringify({ host: hostname(), pid: 1, startedAt: 'before' }))
  for (const [i, bytes] of segments.entries()) await writeFile(join(dir, `${String(i).padStart(10, '0')}.spool`), bytes)
}

/** Everything that a stranger or a careless client may send, by every dialect. */
function hostileRequests(
  uuid: string,
): { method: string; path: string; body?: string; headers?: Record<string, string> }[] {
  const odd = ['a\0b', '\ud800', 'x'.repeat(101), 'ä😀', "'; DROP", '', '0', uuid.toUpperCase(), 'no-such-slug']
  const forwarded = { 'x-forwarded-for': `${'9'.repeat(60)}%zone`, 'x-forwarded-proto': 'h'.repeat(40) }
  const agent = { 'user-agent': 'é'.repeat(400) }
  const ids = [uuid, crypto.randomUUID(), '00000000-0000-0000-0000-000000000000']
  const addresses = [
    ...ids,
    ...odd.flatMap((slug) =>
      [keys.ping_key, stranger].map((key) => `${key}/${encodeURIComponent(slug.toWellFormed())}`),
    ),
  ]
  const endings = [
    '',
    '/start',
    '/fail',
    '/log',
    '/0',
    '/255',
    '/256',
    '/99999999999999999999',
    '?create=1',
    '?rid=x',
    `?rid=${uuid}`,
  ]
  const pings = addresses.flatMap((address) =>
    endings.flatMap((ending) =>
      ['/ping/', '/'].map((prefix, i) => ({
        method: i === 0 ? 'POST' : 'GET',
        path: prefix + address + ending,
        headers: { ...forwarded, ...agent, 'x-request-id': 'r'.repeat(64) },
        ...(i === 0 && { body: '\0\ud800' }),
      })),
    ),
  )
  const values = [...odd, null, 5, [], { a: 1 }, 1e308, -1, 2 ** 31, '2026-02-30T00:00:00Z', '9999-12-31T23:59:59Z']
  const fields = ['check', 'kind', 'at', 'exit_status', 'rid', 'body', 'id']
  const lines = fields.flatMap((field) => values.map((value) => JSON.stringify({ check: uuid, [field]: value })))
  const unknownChecks = odd.map((check) => JSON.stringify({ check }))
  const uploadKeys = [keys.ping_key, keys.api_key, keys.api_key_readonly, stranger, 'a'.repeat(32)]
  const uploads = uploadKeys.map((key) => ({
    method: 'POST',
    path: '/api/v3/heartbeats/',
    headers: { 'x-api-key': key, ...forwarded },
    body: [...lines, ...unknownChecks].join('\n'),
  }))
  const pushes = [...odd, 'pQ4mC1kF7uJ2xS9aZ3rT6wB8nE5vH0dY'].map((token) => ({
    method: 'GET',
    path: `/api/push/${encodeURIComponent(token.toWellFormed())}?status=down&msg=%00a`,
    headers: { ...forwarded, ...agent },
  }))
  return [...pings, ...uploads, ...pushes]
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function sendMails(port: number, recipients: readonly string[]): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  let answers = ''
  socket.setEncoding('latin1').on('data', (text) => (answers += text))
  const answered = async (line: string) => {
    const before = answers.length
    if (line !== '') socket.write(`${line.replaceAll('\n', '\r\n')}\r\n`)
    await eventually(`an answer to ${line}`, () => /^\d{3} .*\r\n$/m.test(answers.slice(before)))
  }
  const commands = ['EHLO x', 'MAIL FROM:<a@example.org>', ...recipients.map((to) => `RCPT TO:<${to}>`), 'DATA']
  for (const line of ['', ...commands, 'Subject: \0\n\nbody\ud800\n.', 'QUIT']) await answered(line)
  socket.destroy()
}

test('every request during an outage leaves the spool, and valid heartbeats are recorded once', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const dataDir = await scratchDir(t)
  const port = await freePort()
  const running = await build(t, {
    ...{ DATABASE_URL: proxy.url, DATA_DIR: dataDir, SMTP_PORT: String(port), TRUST_PROXY: '127.0.0.1' },
    ...{ FLATLINE__DETECTOR__INTERVAL_MS: '50', FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0' },
  })
  const uuid = await make(running, { name: 'steady', slug: 'steady' })
  await proxy.set('refuse')
  await eventually('the spool in use', async () => {
    await running.call('GET', `/ping/${uuid}/log`)
    return running.app.heartbeats.failover?.active
  })
  const wanted = Array.from({ length: 40 }, () => crypto.randomUUID())
  const hostile = hostileRequests(uuid)
  for (const [i, rid] of wanted.entries()) {
    const one = await running.call(
      'POST',
      i % 2 ? `/ping/${uuid}?rid=${rid}` : `/ping/${keys.ping_key}/steady?rid=${rid}`,
    )
    assert.equal(one.status, 200)
    const some = hostile.filter((_, nth) => nth % wanted.length === i)
    const answers = await Promise.all(
      some.map(({ method, path, body, headers }) =>
        running.call(method, path, method === 'GET' ? undefined : body, headers),
      ),
    )
    for (const { status } of answers) assert.ok(status < 600)
  }
  await sendMails(port, [`${uuid}@x`, `${keys.ping_key}+steady@x`, `${stranger}+steady@x`, `${keys.ping_key}+nobody@x`])
  await proxy.set('pass')
  await emptied(dataDir)
  const rows = await sql<{ rid: string; n: string }>(
    databaseUrl,
    'SELECT rid, count(*) AS n FROM heartbeats WHERE rid = ANY($1) GROUP BY rid',
    [wanted],
  )
  assert.equal(rows.length, wanted.length)
  assert.ok(rows.every(({ n }) => n === '1'))
  assert.deepEqual(await sql(databaseUrl, 'SELECT * FROM quarantined_heartbeats'), [])
  const after = await running.call('GET', `/ping/${uuid}`)
  assert.equal(after.text, 'OK')
  await eventually('heartbeats to go to the database again', () => running.app.heartbeats.oldestWaiting() === null)
})

const slugOf = (slug: string, project: ProjectRef, create = false): Partial<Received> => ({
  target: { by: 'slug', project, slug, create },
})

/** Records that no version of this service would write, that another version may have written, or that are damaged. */
function oddPayloads(uuid: string): Buffer[] {
  const odd: Parameters<typeof spoolEntry>[0][] = [
    ...['', 'x', 'a\0b', uuid.toUpperCase(), null, 5].map((checkId) => ({ checkId: checkId as string })),
    ...[Number.NaN, -1, 1e300, 5e12, 'now', null].map((at) => ({ checkId: uuid, at: at as number, acceptedAt: 1 })),
    ...[2 ** 31, -(2 ** 40), 1.5, 'x'].map((exitStatus) => ({ checkId: uuid, exitStatus: exitStatus as number })),
    ...['x', 'a\0b', 7].map((rid) => ({ checkId: uuid, rid: rid as string })),
    ...['alive', '', 5].map((kind) => ({ checkId: uuid, kind: kind as 'log' })),
    ...['a\0b', 'k'.repeat(101), '\ud800', 5].map((key) => ({ checkId: uuid, dedupeKey: key as string })),
    ...['a\0b', 's'.repeat(101), '\udfff'].map((slug) => slugOf(slug, { id: crypto.randomUUID() })),
    ...['x', 5].map((id) => slugOf('s', { id: id as string })),
    ...['id', 'x'.repeat(300)].map((id) => ({ id, checkId: uuid })),
    { target: 5 as never },
    slugOf(5 as never, { id: crypto.randomUUID() }),
    { target: { by: 'id', checkId: uuid, within: 'x' as never } },
    { checkId: uuid, mail: {} as never },
  ]
  const texts = ['', '{', 'null', '[]', '5', '{}', '\0']
  return [
    ...odd.map((fields) => encodeEntry(spoolEntry(fields))),
    ...texts.map((text) => encodeRecord({ at: 1, payload: withLength(text) })),
  ]
}

function withLength(json: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(Buffer.byteLength(json))
  return Buffer.concat([length, Buffer.from(json)])
}

/** Valid heartbeats without a check, and those that must not hold the others up. */
function harmlessRecords(uuid: string): Buffer[] {
  const hashes = ['', 'x', 'A'.repeat(44), 'a\0b']
  const dirty = {
    ua: 'a\0b\ud800'.repeat(90),
    method: 'QUERYMETHOD',
    scheme: 's\0'.repeat(20),
    requestId: 'r\0'.repeat(64),
  }
  return [
    ...hashes.map((keyHash) => spoolEntry(slugOf('steady', { keyHash, kinds: pingKinds }, true))),
    ...hashes.map((keyHash) =>
      spoolEntry({ target: { by: 'id', checkId: uuid, within: { keyHash, kinds: uploadKinds } } }),
    ),
    ...hashes.map((keyHash) => spoolEntry(slugOf('steady', { keyHash, kinds: uploadKinds }))),
    spoolEntry({ ...slugOf('new', { id: crypto.randomUUID() }, true), address: '9'.repeat(60) }),
    spoolEntry({ checkId: crypto.randomUUID(), ...dirty, remoteAddr: '9'.repeat(99) }),
  ].map(encodeEntry)
}

test('a replay in any order and with any number of kills records each valid heartbeat once', async (t) => {
  const databaseUrl = await createDatabase(t)
  const running = await build(t, { DATABASE_URL: databaseUrl })
  const checks = await Promise.all([1, 2, 3].map((n) => make(running, { name: `c${n}`, slug: `c${n}` })))
  const uuid = checks[0] as string
  const valid = Array.from({ length: 900 }, (_, i) =>
    spoolEntry({
      checkId: checks[i % 3] as string,
      kind: (['success', 'start', 'fail', 'log'] as const)[i % 4] ?? 'log',
      body: i % 5 ? null : Buffer.from('\0body'),
      ua: i % 7 ? 'test' : 'a\0b\ud800'.repeat(90),
      remoteAddr: i % 11 ? '::1' : '9'.repeat(99),
    }),
  )
  const odd = oddPayloads(uuid)
  const records = [...valid.map(encodeEntry), ...odd, ...harmlessRecords(uuid)]
  const shuffled = records.map((record) => ({ record, key: Math.random() })).sort((a, b) => a.key - b.key)
  const segments = Array.from({ length: 12 }, (_, i) =>
    Buffer.concat(shuffled.filter((_, nth) => nth % 12 === i).map(({ record }) => record)),
  )
  const dataDir = await scratchDir(t)
  await abandon(dataDir, [Buffer.alloc(0), Buffer.from('no segment at all'), ...segments])
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: dataDir, FLATLINE__DATABASE__POOL_MAX: '4' }
  for (let kills = 0; kills < 3; kills++) {
    const service = await startService(t, { env, ready: false })
    await service.event('spool.adopted', 60_000)
    const some = async () => {
      const [row] = await sql<{ n: string }>(databaseUrl, 'SELECT count(*) AS n FROM heartbeats')
      return Number(row?.n) > kills * 200
    }
    await eventually('something to be recorded', some, 60_000)
    await service.stop('SIGKILL')
  }
  const last = await startService(t, { env })
  await emptied(dataDir)
  const [counts] = await sql<{ rows: string; ids: string; n: string }>(
    databaseUrl,
    'SELECT count(*) AS rows, count(DISTINCT id) AS ids, (SELECT sum(n) FROM checks) AS n FROM heartbeats WHERE id = ANY($1)',
    [valid.map(({ id }) => id)],
  )
  assert.deepEqual(counts, { rows: '900', ids: '900', n: '900' })
  const [kept] = await sql<{ n: string }>(databaseUrl, 'SELECT count(*) AS n FROM quarantined_heartbeats')
  assert.equal(Number(kept?.n), odd.length)
  assert.equal((await readdir(join(dataDir, 'spool/unreadable'))).length, 1, 'the file that is no segment')
  const ready = await fetch(`${last.url}/health/ready`)
  assert.equal(ready.status, 200)
})

/** Faults that only the database can find. */
const refuseOn = (uuid: string) => `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF NEW.check_id = '${uuid}' THEN RAISE EXCEPTION 'refused' USING ERRCODE = '22023'; END IF; RETURN NEW; END $$;
  CREATE TRIGGER refuse BEFORE INSERT ON heartbeats FOR EACH ROW EXECUTE FUNCTION refuse()`

test('heartbeats acknowledged under a ping key are recorded although the key was replaced meanwhile', async (t) => {
  const databaseUrl = await createDatabase(t)
  const first = await build(t, { DATABASE_URL: databaseUrl })
  const admin = { authorization: `Bearer ${adminToken}` }
  const project = (await first.call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()
  await first.call('POST', '/api/v3/checks/', { slug: 'job' }, { 'x-api-key': String(project.api_key) })
  const keyHash = first.app.projects.hashOf(String(project.ping_key))
  const rotate = `/api/v3/projects/${project.id}/keys/ping_key/rotate/`
  assert.equal((await first.call('POST', rotate, undefined, admin)).status, 200)
  await sql(databaseUrl, "UPDATE retired_addresses SET retired_at = now() - interval '1 hour' WHERE kind = 'ping_key'")
  const [before, after] = [2, 0].map((hours) =>
    spoolEntry({ ...slugOf('job', { keyHash, kinds: pingKinds }), at: Date.now() - hours * 3_600_000 }),
  )
  const dataDir = await scratchDir(t)
  await abandon(dataDir, [Buffer.concat([before, after].map((one) => encodeEntry(one as Received)))])
  await build(t, { DATABASE_URL: databaseUrl, DATA_DIR: dataDir })
  await emptied(dataDir)
  const recorded = await sql<{ id: string }>(databaseUrl, 'SELECT id FROM heartbeats')
  assert.deepEqual(recorded, [{ id: before?.id }], 'none that was sent later than that')
})

test('a replay puts heartbeats that the database refuses into the quarantine and goes on', async (t) => {
  const databaseUrl = await createDatabase(t)
  const first = await build(t, { DATABASE_URL: databaseUrl })
  const [poisoned, well] = [await make(first, { name: 'poisoned' }), await make(first, { name: 'well' })]
  await sql(databaseUrl, refuseOn(poisoned))
  const entries = Array.from({ length: 300 }, (_, i) => spoolEntry({ checkId: i % 60 ? well : poisoned }))
  const dataDir = await scratchDir(t)
  await abandon(dataDir, [Buffer.concat(entries.map(encodeEntry))])
  const running = await build(t, { DATABASE_URL: databaseUrl, DATA_DIR: dataDir })
  await emptied(dataDir)
  await eventually('no more to be waited for', () => running.app.heartbeats.oldestWaiting() === null)
  const [row] = await sql<{ n: string }>(databaseUrl, 'SELECT count(*) AS n FROM heartbeats')
  assert.equal(row?.n, '295')
  const kept = await sql<{ id: string; check_id: string; code: string }>(
    databaseUrl,
    'SELECT * FROM quarantined_heartbeats',
  )
  assert.deepEqual(
    new Set(kept.map(({ id }) => id)),
    new Set(entries.filter(({ target }) => target.by === 'id' && target.checkId === poisoned).map(({ id }) => id)),
  )
  assert.deepEqual([...new Set(kept.map(({ code }) => code))], ['22023'])
  assert.equal((await running.call('GET', `/ping/${well}`)).text, 'OK')

  const ask = (method: string, path: string, body?: unknown) =>
    running.call(method, `/api/v3/quarantine/${path}`, body, { authorization: `Bearer ${adminToken}` })
  type Page = { quarantined: { id: string; check: string }[]; next: string | null }
  assert.equal((await running.call('GET', '/api/v3/quarantine/')).status, 401)
  const page = (await ask('GET', '?limit=3')).json() as Page
  const rest = (await ask('GET', `?limit=3&after=${page.next}`)).json() as Page
  const listed = [...page.quarantined, ...rest.quarantined]
  assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set(kept.map(({ id }) => id)))
  assert.deepEqual([...new Set(listed.map(({ check }) => check))], [poisoned])
  assert.deepEqual((await ask('POST', 'retry/', {})).json(), { recorded: 0, dropped: 0, kept: 5 })
  const [one] = listed
  assert.equal((await ask('DELETE', `${one?.id}/`)).status, 204)
  assert.equal((await ask('DELETE', `${one?.id}/`)).status, 404)
  assert.equal((await ask('POST', 'retry/', { ids: [one?.id] })).status, 404)
  await sql(databaseUrl, 'DROP TRIGGER refuse ON heartbeats')
  assert.deepEqual((await ask('POST', 'retry/', {})).json(), { recorded: 4, dropped: 0, kept: 0 })
  assert.deepEqual((await ask('GET', '')).json(), { quarantined: [], next: null })
  const actions = await sql<{ action: string }>(
    databaseUrl,
    "SELECT action FROM audit WHERE action LIKE 'quarantine%' ORDER BY id",
  )
  assert.deepEqual(
    actions.map(({ action }) => action),
    ['quarantine.retry', 'quarantine.discard', 'quarantine.retry'],
  )
})

test('the quarantine retries heartbeats that failed because of a time limit', async (t) => {
  const running = await build(t)
  const uuid = await make(running, { name: 'locked' })
  const { quarantine } = running.app.heartbeats
  const received = spoolEntry({ checkId: uuid })
  await quarantine.add([{ received, error: Object.assign(new Error('too slow'), { code: '57014' }) }])
  assert.equal(quarantine.entries(), 1)
  await quarantine.retryDue()
  assert.equal(quarantine.entries(), 1, 'not before its time')
  await sql(running.databaseUrl, "UPDATE quarantined_heartbeats SET next_attempt_at = now() - interval '1 second'")
  await eventually('it to be recorded', async () => {
    await quarantine.retryDue()
    return quarantine.entries() === 0
  })
  const [row] = await sql<{ id: string }>(running.databaseUrl, 'SELECT id FROM heartbeats')
  assert.equal(row?.id, received.id)
})

test('a live heartbeat that the database refuses is refused alone and causes no outage', async (t) => {
  const running = await build(t)
  const [poisoned, well] = [await make(running, { name: 'poisoned' }), await make(running, { name: 'well' })]
  await sql(running.databaseUrl, refuseOn(poisoned))
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => running.call('GET', `/ping/${i % 20 ? well : poisoned}`)),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 190)
  assert.equal(answers.filter(({ status, headers }) => status === 503 && headers.get('retry-after')).length, 10)
  assert.equal(running.app.heartbeats.failover?.active, false)
})
