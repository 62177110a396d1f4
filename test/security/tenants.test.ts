// Every route, called with the keys of another project, with none and with wrong ones. Each is a test; a route that is
// missing in this table fails, too.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { uniqueKey } from '../../src/checks/fields/columns.ts'
import { permissionsOf } from '../../src/core/permissions.ts'
import { type Answer, adminToken, build, call as callAt, createReceiver, eventually, keys } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'

const admin = { authorization: `Bearer ${adminToken}` }
const open = ['public', 'probe', 'ingest', 'metrics:read', ...permissionsOf('recipient')]

const versions = ['/api/v1', '/api/v2', '/api/v3']
const byKey = ':id(^[0-9a-f]{40}$)'

/** Own: answers about the caller's own project, so that success is right and must not show another's. */
const own = [
  ...versions.flatMap((api) => [
    `GET ${api}/checks/`,
    `POST ${api}/checks/`,
    `GET ${api}/channels/`,
    `GET ${api}/badges/`,
  ]),
  'GET /api/v3/channels',
  ...['', '/'].flatMap((slash) => [
    `GET /api/v3/definitions${slash}`,
    `POST /api/v3/definitions${slash}`,
    `POST /api/v3/keys/adopt${slash}`,
    `GET /api/v3/quota${slash}`,
  ]),
  'POST /api/v3/channels',
  'POST /api/v3/channels/',
  ...['', '/'].flatMap((slash) => ['GET', 'POST'].map((method) => `${method} /api/v3/maintenance${slash}`)),
  'GET /api/v3/deliveries',
  'GET /api/v3/deliveries/',
  'GET /api/v3/audit',
  'GET /api/v3/audit/',
  ...['/metrics/', '/metrics/:key', '/checks/metrics/:key'].map((path) => `GET /projects/:project${path}`),
  // About the service itself, for any key.
  'GET /api/v3/health-metrics',
  'GET /api/v3/health-metrics/',
  'GET /api/v3/health-metrics/names',
  'GET /api/v3/health-metrics/names/',
]
/** About one thing, which is another project's: never success. */
const one = [
  ...versions.flatMap((api) => [
    ...['GET', 'POST', 'DELETE'].map((method) => `${method} ${api}/checks/:id`),
    ...['pause', 'resume'].map((verb) => `POST ${api}/checks/:id/${verb}`),
    `GET ${api}/checks/${byKey}`,
    ...[':id', byKey].map((id) => `GET ${api}/checks/${id}/flips/`),
    `GET ${api}/checks/:id/pings/`,
    `GET ${api}/checks/:id/pings/:n/body`,
  ]),
  ...['', '/'].flatMap((slash) => [
    ...['GET', 'PATCH', 'DELETE'].map((method) => `${method} /api/v3/channels/:id${slash}`),
    `POST /api/v3/channels/:id/test${slash}`,
    `POST /api/v3/deliveries/:id/resend${slash}`,
    ...['GET', 'PUT', 'DELETE'].map((method) => `${method} /api/v3/maintenance/:id${slash}`),
    `GET /api/v3/checks/:id/attention${slash}`,
    `POST /api/v3/checks/:id/acknowledge${slash}`,
    `POST /api/v3/checks/:id/snooze${slash}`,
    `POST /api/v3/checks/:id/signing-secret/rotate${slash}`,
    `DELETE /api/v3/checks/:id/signing-secret${slash}`,
  ]),
]
/** Of heartbeats of the caller's own checks, with the ping key, too. */
const uploads = ['', '/'].map((slash) => `POST /api/v3/heartbeats${slash}`)
/** For the administrator alone: no key will do. */
const operators = [
  ...['', '/'].flatMap((slash) => [
    `GET /api/v3/projects${slash}`,
    `GET /api/v3/service-alerts${slash}`,
    `GET /api/v3/quarantine${slash}`,
    `POST /api/v3/quarantine/retry${slash}`,
    `DELETE /api/v3/quarantine/:id${slash}`,
    `POST /api/v3/projects${slash}`,
    ...['DELETE', 'GET', 'PATCH'].map((method) => `${method} /api/v3/projects/:id${slash}`),
    `POST /api/v3/projects/:id/keys/:kind/rotate${slash}`,
    `GET /api/v1/circuit-breakers/status${slash}`,
    `GET /circuit-breaker${slash}`,
    `POST /api/v1/circuit-breakers/:name/reset${slash}`,
    `POST /api/v1/circuit-breakers/reset-all${slash}`,
  ]),
  ...['', '/'].flatMap((slash) => [
    `POST /admin/reencrypt${slash}`,
    `POST /admin/shutdown${slash}`,
    `GET /admin/log-level${slash}`,
    `PUT /admin/log-level${slash}`,
    // For another replica alone.
    `POST /replicas/:id/heartbeats${slash}`,
  ]),
]

const bodies: Record<string, unknown> = {
  ...Object.fromEntries(versions.map((api) => [`POST ${api}/checks/`, { name: 'of B' }])),
  'POST /api/v3/channels': { kind: 'webhook', name: 'of B', settings: { url: 'http://127.0.0.1:9/' } },
  'POST /api/v3/channels/': { kind: 'webhook', name: 'of B', settings: { url: 'http://127.0.0.1:9/' } },
  ...Object.fromEntries(
    ['', '/'].flatMap((slash) => [
      [`POST /api/v3/maintenance${slash}`, { name: 'of B', cron: '0 3 * * *', duration: 60 }],
      [`PUT /api/v3/maintenance/:id${slash}`, { name: 'of B', cron: '0 3 * * *', duration: 60 }],
      [`POST /api/v3/checks/:id/snooze${slash}`, { for: 60 }],
    ]),
  ),
  'POST /api/v3/definitions': { checks: [{ name: 'of B' }] },
  'POST /api/v3/definitions/': { checks: [{ name: 'of B' }] },
  'POST /api/v3/keys/adopt': { ping_key: 'b'.repeat(22) },
  'POST /api/v3/keys/adopt/': { ping_key: 'b'.repeat(22) },
  'PATCH /api/v3/channels/:id': { name: 'stolen' },
  'PATCH /api/v3/channels/:id/': { name: 'stolen' },
  'PUT /admin/log-level': { level: 'debug' },
  'PUT /admin/log-level/': { level: 'debug' },
}

test('no key reads or changes another project, through any route', async (t) => {
  const { running, guarded, check, channel, b } = await openTwoProjects(t)
  const { call, databaseUrl } = running

  await t.test('every guarded route is in the table of this file, and every row is a route', () => {
    assert.deepEqual(guarded.toSorted(), [...own, ...one, ...operators, ...uploads].sort())
  })

  const as = (key: unknown) => ({ 'x-api-key': String(key) })
  const callers: [who: string, headers: Record<string, string>][] = [
    ['B', as(b.api_key)],
    ['B read-only', as(b.api_key_readonly)],
    ["B's ping key", as(b.ping_key)],
    ["A's ping key", as(keys.ping_key)],
    ['wrong key', as('x'.repeat(32))],
    ['nobody', {}],
  ]
  for (const name of guarded) {
    await t.test(`${name} shows nothing of another project`, async () => {
      const { method, path } = addressOf(name, check, channel)
      const body = uploads.includes(name) ? [{ check }] : bodies[name]
      for (const [who, headers] of callers) {
        // It is of the project to which the check belongs.
        if (uploads.includes(name) && who === "A's ping key") continue
        const answer = await call(method, path, body, headers)
        const what = `as ${who}: ${answer.status} ${answer.text.slice(0, 200)}`
        for (const secret of [check, channel, ...namesOfA]) {
          // What was asked for may come back in the error.
          if (!path.includes(secret)) assert.ok(!answer.text.includes(secret), `${what} shows ${secret}`)
        }
        assertRefused(name, who, answer, what)
      }
    })
  }

  await t.test('the attempts above changed nothing', async () => {
    const left = (await call('GET', `/api/v3/checks/${check}`)).json()
    assert.deepEqual([left.name, left.n_pings, left.channels], ['check-of-a', 2, channel])
    assert.equal((await call('GET', `/api/v3/channels/${channel}/`)).json().name, 'channel-of-a')
  })

  await t.test('keys and settings of channels are not stored in clear text', async () => {
    const kept = JSON.stringify([
      await sql(databaseUrl, 'SELECT * FROM project_keys'),
      await sql(databaseUrl, "SELECT encode(settings, 'escape') FROM channels"),
    ])
    for (const secret of [...Object.values(keys), String(b.api_key), 'secret-of-a']) assert.ok(!kept.includes(secret))
  })
})

const namesOfA = ['check-of-a', 'channel-of-a', 'tag-of-a', 'body-of-a', 'secret-of-a']

/** A has a check with two heartbeats and a channel that was alerted; B has nothing. `guarded` are the routes that ask for a key. */
async function openTwoProjects(t: TestContext) {
  const routes: { name: string; requires: string }[] = []
  const env = { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0' }
  const running = await build(t, env, (app) => {
    app.addHook('onRoute', ({ method, url, config }) => {
      for (const verb of [method].flat())
        routes.push({ name: `${verb} ${url}`, requires: config?.requires ?? 'public' })
    })
  })
  const { call, url } = running
  const receiver = await createReceiver(t)
  const settings = { url: `${receiver.url}/secret-of-a` }
  const channel = (await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'channel-of-a', settings })).json()
  const check = (await call('POST', '/api/v3/checks/', { name: 'check-of-a', channels: '*', tags: 'tag-of-a' })).json()
  await call('POST', `/ping/${check.uuid}`, 'body-of-a', {})
  await call('POST', `/ping/${check.uuid}/fail`, 'body-of-a', {})
  await eventually('the alert', () => receiver.received.length === 1)
  const b = (await callAt(url, 'POST', '/api/v3/projects/', { name: 'project-b' }, admin)).json()
  const guarded = routes.filter(({ name, requires }) => !open.includes(requires) && !name.startsWith('HEAD '))
  return {
    ...{ running, b, check: String(check.uuid), channel: String(channel.id) },
    guarded: guarded.map(({ name }) => name),
  }
}

/** The address of a route, about the check or the channel of A. */
function addressOf(name: string, check: string, channel: string): { method: string; path: string } {
  const [method = '', pattern = ''] = name.split(' ')
  const id = pattern.includes('channels') ? channel : check
  const path = pattern
    .replace(byKey, uniqueKey(id))
    .replace(':id', id)
    .replace(':n', '1')
    .replace(':project', id)
    .replace(/:key$/, 'x'.repeat(32))
    .replace(':kind', 'api_key')
    .replace(':name', 'database')
  const query = pattern.includes('health-metrics') && !pattern.includes('names') ? '?name=checks' : ''
  return { method, path: path + query }
}

function assertRefused(name: string, who: string, answer: Answer, what: string): void {
  const isKeyOfB = who === 'B' || who === 'B read-only'
  const isUpload = uploads.includes(name)
  // Keys are in the path there, and this one is nobody's.
  if (name.endsWith(':key')) assert.equal(answer.status, 403, what)
  // Another call of this table replaces the ping key.
  else if (isUpload && (who === 'B' || (who === "B's ping key" && answer.status !== 401)))
    assert.equal(answer.json().accepted, 0, what)
  else if (own.includes(name) && isKeyOfB) assert.ok([200, 201, 401, 403].includes(answer.status), what)
  else assert.ok([401, 403, 404].includes(answer.status), what)
}

test('a new first ENCRYPTION_KEY encrypts new settings; old ones stay readable until they are saved', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  const receiver = await createReceiver(t)
  const [old, fresh] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const settings = { url: receiver.url }
  const before = await build(t, { DATABASE_URL, ENCRYPTION_KEY: old })
  const channel = (await before.call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings })).json()
  await before.app.close()

  const delivered = async (ENCRYPTION_KEY: string, save: boolean) => {
    const replica = await build(t, { DATABASE_URL, ENCRYPTION_KEY })
    if (save) await replica.call('PATCH', `/api/v3/channels/${channel.id}/`, { settings })
    const answer = await replica.call('POST', `/api/v3/channels/${channel.id}/test/`)
    await replica.app.close()
    return answer.json().delivered
  }
  assert.equal(await delivered(fresh, false), false, 'without the old key it cannot be read')
  assert.equal(await delivered(`${fresh},${old}`, false), true)
  assert.equal(await delivered(`${fresh},${old}`, true), true)
  assert.equal(await delivered(fresh, false), true, 'saved again it needs the new key alone')
})
