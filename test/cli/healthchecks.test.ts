// Importing from a Healthchecks server: a small fake of one, and Flatline itself, which has the same API.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { adminToken, build, keys, type Running, scratchDir } from '../helper.ts'
import { flatline } from './run.ts'

const sourceKey = 'hcw_0123456789abcdefghijklmnopqr'
const sourcePingKey = 'abcdefghij0123456789zz'
const projectBadgeKey = '0f7b1a52-51a5-4a4c-9f0e-8f3d8a6f5d11'
const [simpleId, cronId, pausedId] = [
  '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c01',
  '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c02',
  '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c03',
]
const onCall = '7e1b7a0c-3f63-4a39-8d4c-0f6a9f0f1a01'
const lost = '7e1b7a0c-3f63-4a39-8d4c-0f6a9f0f1a02'

const document = (uuid: string, own: object) => ({
  name: '',
  slug: '',
  tags: '',
  desc: '',
  grace: 3600,
  n_pings: 12,
  status: 'up',
  started: false,
  last_ping: '2026-11-01T00:00:00+00:00',
  next_ping: '2026-11-02T00:00:00+00:00',
  manual_resume: false,
  methods: '',
  subject: '',
  subject_fail: '',
  start_kw: '',
  success_kw: '',
  failure_kw: '',
  filter_subject: false,
  filter_body: false,
  filter_http_body: false,
  filter_default_fail: false,
  badge_url: `https://hc.example/b/2/${uuid.replace('0b2f', 'bad9')}.svg`,
  uuid,
  ping_url: `https://hc.example/ping/${uuid}`,
  update_url: `https://hc.example/api/v3/checks/${uuid}`,
  pause_url: `https://hc.example/api/v3/checks/${uuid}/pause`,
  resume_url: `https://hc.example/api/v3/checks/${uuid}/resume`,
  channels: '',
  ...own,
})

const checks = [
  document(simpleId, {
    name: 'Mail queue',
    slug: 'mail-queue',
    tags: 'prod mail',
    timeout: 300,
    grace: 60,
    channels: `${lost},${onCall}`,
  }),
  document(cronId, {
    name: 'Backup',
    schedule: '15 3 * * 1-5',
    tz: 'Europe/Riga',
    filter_subject: true,
    success_kw: 'ok,fine',
    failure_kw: 'error',
    methods: 'POST',
  }),
  document(pausedId, { name: 'Old', status: 'paused', timeout: 86400 }),
  document('3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c04', { name: 'Elsewhere', timeout: 5, tz: 'UTC', grace: 0 }),
]

/** Answers as Healthchecks does; `versions` are the supported ones. */
async function createSource(t: TestContext, versions = ['v1', 'v2', 'v3']): Promise<string> {
  const server = createServer((request, response) => {
    const [, version = '', what] = /^\/api\/(v\d)\/(checks|channels)\/$/.exec(request.url ?? '') ?? []
    const answer = (status: number, body: object | string) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(typeof body === 'string' ? body : JSON.stringify(body))
    if (!versions.includes(version)) return answer(404, '<!doctype html><title>Not Found</title>')
    const key = request.headers['x-api-key']
    const readOnly = key === sourceKey.replace('hcw', 'hcr')
    if (key !== sourceKey && !readOnly) return answer(401, { error: 'wrong api key' })
    if (what === 'channels')
      return answer(200, {
        channels: [
          { id: onCall, name: 'on call', kind: 'webhook' },
          { id: lost, name: 'pager', kind: 'pd' },
        ],
      })
    const seen = readOnly ? checks.map(({ uuid, ping_url, ...rest }) => ({ ...rest, unique_key: 'x' })) : checks
    return answer(200, { checks: seen })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const importFrom = (url: string, { url: server }: Running, ...more: string[]) =>
  flatline([
    'import',
    'healthchecks',
    '--url',
    url,
    '--api-key',
    sourceKey,
    '--server',
    server,
    '--key',
    keys.api_key,
    ...more,
  ])

const channel = ({ call }: Running, name: string) =>
  call('POST', '/api/v3/channels/', { kind: 'webhook', name, settings: { url: 'http://127.0.0.1:9/' } })

test('an import brings addresses, schedules, tags, filters and badges; a second one changes nothing', async (t) => {
  const [running, source] = [await build(t), await createSource(t)]
  const { call, url } = running
  await channel(running, 'on call')
  const dry = await importFrom(source, running, '--dry-run')
  assert.match(dry.stdout, /^3 created, 0 updated, 0 unchanged, 0 deleted, 1 failed \(dry run/m)
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [] })

  const done = await importFrom(source, running)
  assert.equal(done.code, 1)
  assert.match(done.stdout, /^failed {5}checks\[3\] Elsewhere: grace is too small$/m)
  assert.match(done.stdout, /^3 created, 0 updated, 0 unchanged, 0 deleted, 1 failed$/m)
  assert.match(done.stderr, /Create channels with these names here and import again.*: pager \(pd\)/)
  const seen = async (id: string) => (await call('GET', `/api/v3/checks/${id}`)).json()
  const simple = await seen(simpleId)
  assert.deepEqual(
    [simple.name, simple.slug, simple.tags, simple.timeout, simple.grace, simple.status],
    ['Mail queue', 'mail-queue', 'prod mail', 300, 60, 'new'],
  )
  assert.equal(String(simple.channels).length, 36, 'the channel of the same name')
  assert.equal(simple.badge_url, `${url}/b/2/${simpleId.replace('0b2f', 'bad9')}.svg`)
  const cron = await seen(cronId)
  assert.deepEqual(
    [cron.schedule, cron.tz, cron.methods, cron.filter_subject, cron.success_kw, cron.failure_kw],
    ['15 3 * * 1-5', 'Europe/Riga', 'POST', true, 'ok,fine', 'error'],
  )
  assert.equal((await seen(pausedId)).status, 'paused')
  assert.equal((await call('GET', `/ping/${simpleId}`, undefined, {})).text, 'OK')
  await channel(running, 'pager')
  const again = await importFrom(source, running)
  assert.match(again.stdout, /^0 created, 1 updated, 2 unchanged, 0 deleted, 1 failed$/m)
  assert.match(again.stdout, /^updated {4}Mail queue .*: channels$/m)
  assert.match((await importFrom(source, running)).stdout, /^0 created, 0 updated, 3 unchanged/m)
})

test('an import is refused without version 1, a valid read-write key, or a Healthchecks server', async (t) => {
  const [running, source] = [await build(t), await createSource(t, ['v1'])]
  assert.match((await importFrom(source, running)).stdout, /^3 created/m)
  const key = (value: string) => ['--api-key', value]
  const readOnly = await importFrom(source, running, ...key(sourceKey.replace('hcw', 'hcr')))
  assert.match(readOnly.stderr, /a read-only key cannot read the ping addresses/)
  const wrong = await importFrom(source, running, ...key('x'.repeat(32)))
  assert.match(wrong.stderr, /answers 401: wrong api key/)
  const other = await importFrom(await createSource(t, []), running)
  assert.match(other.stderr, /answers 404: <!doctype html>/)
  for (const { code } of [readOnly, wrong, other]) assert.equal(code, 1)
})

test('a dump brings the ping key and the badge key, and with the secret key the badge signatures', async (t) => {
  const [running, source] = [await build(t), await createSource(t)]
  const { call, url } = running
  const dir = await scratchDir(t)
  const [dump, secret] = [join(dir, 'dump.json'), join(dir, 'secret')]
  const project = (pk: number, fields: object) => ({ model: 'accounts.project', pk, fields })
  const rows = [
    project(1, { name: 'other', ping_key: 'x'.repeat(22), badge_key: 'other' }),
    project(2, { name: 'mine', ping_key: sourcePingKey, badge_key: projectBadgeKey }),
    { model: 'api.check', pk: 9, fields: { code: simpleId, project: 2 } },
  ]
  await writeFile(dump, JSON.stringify(rows))
  await writeFile(secret, 'django-insecure-secret\n')
  const done = await importFrom(source, running, '--dump', dump, '--secret-key-file', secret)
  assert.match(done.stdout, /^adopted {4}ping_key, badge_key$/m)
  // Made by Django's base64_hmac of these keys.
  for (const path of ['eSzysSXX.json', '7mVm1SBm/prod.json', '7mVm1SBm-2/prod.json'])
    assert.equal((await fetch(`${url}/badge/${projectBadgeKey}/${path}`)).status, 200, path)
  const badges = (await call('GET', '/api/v3/badges/')).json().badges as Record<string, { svg3: string }>
  assert.equal(badges.prod?.svg3, `${url}/badge/${projectBadgeKey}/7mVm1SBm/prod.svg`)
  assert.match((await importFrom(source, running, '--dump', dump)).stdout, /the keys have already been adopted/)

  const other = (await call('POST', '/api/v3/projects/', { name: 'o' }, { 'x-api-key': adminToken })).json()
  const theirs = { 'x-api-key': String(other.api_key) }
  for (const body of [{ ping_key: sourcePingKey }, { badge_key: projectBadgeKey }]) {
    const { status, text } = await call('POST', '/api/v3/keys/adopt/', body, theirs)
    assert.deepEqual([status, JSON.parse(text).field], [409, Object.keys(body)[0]])
  }
  for (const body of [{}, { ping_key: 'short' }, { badge_secret: 'x' }, { api_key: 'x' }])
    assert.equal((await call('POST', '/api/v3/keys/adopt/', body)).status, 400)
  await writeFile(dump, '{}')
  assert.match((await importFrom(source, running, '--dump', dump)).stderr, /is not the output of dumpdata/)
})

test('an import from Flatline refuses only checks whose uuid another project has or had', async (t) => {
  const running = await build(t)
  const { call, url } = running
  for (const name of ['a', 'b']) await call('POST', '/api/v3/checks/', { name })
  const [a] = (await call('GET', '/api/v3/checks/')).json().checks as { uuid: string }[]
  const target = await build(t)
  const other = (await target.call('POST', '/api/v3/projects/', { name: 'o' }, { 'x-api-key': adminToken })).json()
  const move = (to: string, key: string) =>
    flatline(['import', 'healthchecks', '--url', url, '--api-key', keys.api_key, '--server', to, '--key', key])
  assert.match((await move(target.url, keys.api_key)).stdout, /^2 created/m)
  assert.equal((await target.call('GET', `/ping/${a?.uuid}`, undefined, {})).text, 'OK')
  await target.call('DELETE', `/api/v3/checks/${a?.uuid}`)
  await call('POST', '/api/v3/checks/', { name: 'c' })
  const taken = await move(target.url, String(other.api_key))
  assert.match(taken.stdout, /^failed {5}checks\[0\] a: uuid is taken by another project$/m)
  assert.match(taken.stdout, /^failed {5}checks\[1\] b: uuid is taken by another project$/m)
  assert.match(taken.stdout, /^1 created, 0 updated, 0 unchanged, 0 deleted, 2 failed$/m)
  assert.equal(taken.code, 1)
})
