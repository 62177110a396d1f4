// What a caller may not learn. Both tests walk the route table of the running service, so that a new route is included by itself; a
// path parameter that the table below does not know fails.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { uniqueKey } from '../../src/checks/fields/columns.ts'
import {
  type Answer,
  adminToken,
  build,
  createReceiver,
  eventually,
  keys,
  type Running,
  scratchDir,
} from '../helper.ts'
import { sql } from '../postgres.ts'

type Route = { method: string; url: string }
type Ids = { checks: string[]; channels: string[]; deliveries: string[]; windows: string[]; projects: string[] }

const admin = { authorization: `Bearer ${adminToken}` }
const as = (key: unknown) => ({ 'x-api-key': String(key) })
const env = { FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0' }
const secretPath = 'secret-of-the-destination'
const webhookSecret = 'secret-of-the-signature'

/** Notes every route of the service, each method and spelling of it. */
function watchRoutes(): { routes: Route[]; observe: (app: FastifyInstance) => void } {
  const routes: Route[] = []
  return {
    routes,
    observe: (app) =>
      void app.addHook('onRoute', ({ method, url }) => {
        for (const verb of [method].flat()) routes.push({ method: verb, url })
      }),
  }
}

/**
 * A project with one object of each kind: checks (one of them nameless, one with a parent), channels, deliveries, a
 * window, history.
 */
async function furnish({ call, databaseUrl }: Running, destination: string): Promise<Ids> {
  const hook = {
    kind: 'webhook',
    name: 'hook',
    settings: { url: `${destination}/${secretPath}`, secret: webhookSecret },
  }
  const channel = (await call('POST', '/api/v3/channels/', hook)).json()
  const group = { kind: 'group', name: 'group', settings: { channels: [channel.id] } }
  await call('POST', '/api/v3/channels/', group)
  const parent = (await call('POST', '/api/v3/checks/', { name: 'parent', slug: 'parent', tags: 'prod' })).json()
  const child = { name: 'child', parent: parent.uuid, channels: '*' }
  const named = (await call('POST', '/api/v3/checks/', child)).json()
  const nameless = (await call('POST', '/api/v3/checks/', { channels: channel.id, tags: 'prod' })).json()
  await call('POST', '/api/v3/maintenance/', { name: 'w', cron: '0 3 * * *', duration: 60, checks: [nameless.uuid] })
  for (const { uuid } of [named, nameless]) {
    await call('POST', `/ping/${uuid}`, 'a body', {})
    await call('POST', `/ping/${uuid}/fail`, 'a body', {})
  }
  const column = async (text: string) => (await sql<{ id: string }>(databaseUrl, text)).map(({ id }) => id)
  const deliveries = () => column("SELECT id FROM deliveries WHERE status = 'sent'")
  await eventually('both alerts', async () => (await deliveries()).length >= 2)
  return {
    checks: await column('SELECT id FROM checks'),
    channels: await column('SELECT id FROM channels'),
    deliveries: await column('SELECT id FROM deliveries'),
    windows: await column('SELECT id FROM maintenance_windows'),
    projects: await column("SELECT id FROM projects WHERE name = 'default'"),
  }
}

/** The addresses of a route, with each value that a parameter can have. */
function addresses(url: string, values: Record<string, readonly string[]>): string[] {
  const [whole = '', name = ''] = /:(\w+)(?:\((?:[^()]|\([^()]*\))*\))?/.exec(url) ?? []
  if (whole === '') return [url.replace('*', values['*']?.[0] ?? '')]
  const known = values[name]
  assert.ok(known, `say what the parameter :${name} of ${url} can be`)
  return known.flatMap((value) => addresses(url.replace(whole, value), values))
}

/** A text, and what its cursors and links decode to. */
function readings(text: string): string {
  const words = text.match(/[\w-]{16,}/g) ?? []
  const decoded = words.map((word) => Buffer.from(word, 'base64url').toString('latin1'))
  const unescaped = text.replace(/%([0-9a-f]{2})/gi, (_whole, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return [text, unescaped, ...decoded].join('\n').toLowerCase()
}

/** Those of these secrets that an answer shows and its request did not contain. */
function shown(answer: Answer, request: string, secrets: readonly string[]): string[] {
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
  const said = readings(`${headers}\n${answer.text}`)
  const forms = (secret: string) => [secret, secret.replaceAll('-', '')].map((form) => form.toLowerCase())
  return secrets.filter((secret) => !request.includes(secret) && forms(secret).some((form) => said.includes(form)))
}

test('no answer and no log line shows a uuid, key or secret to a caller without access', async (t) => {
  const { routes, observe } = watchRoutes()
  const logFile = join(await scratchDir(t), 'flatline.log')
  const running = await build(t, { ...env, LOG_LEVEL: 'debug', LOG_FILE: logFile }, observe)
  const { app, call, databaseUrl } = running
  const receiver = await createReceiver(t)
  const ids = await furnish(running, receiver.url)
  const other = (await call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()
  const [project] = await sql<{ badge_key: string }>(
    databaseUrl,
    "SELECT badge_key FROM projects WHERE name = 'default'",
  )
  const badges = (await sql<{ badge_key: string }>(databaseUrl, 'SELECT badge_key FROM checks')).map(({ badge_key }) =>
    String(badge_key),
  )
  const links = (await call('GET', '/api/v3/badges/')).json().badges as Record<string, { svg: string; json3: string }>
  const [, ownSignature = ''] = /\/([^/]+)\.svg$/.exec(links['*']?.svg ?? '') ?? []
  const [, tagSignature = ''] = /\/([^/]+)\/prod\.json$/.exec(links.prod?.json3 ?? '') ?? []
  const [nameless] = await sql<{ id: string; flip_seq: number }>(
    databaseUrl,
    "SELECT id, flip_seq FROM checks WHERE name = ''",
  )
  const checkId = String(nameless?.id)
  const tokenOf = (link: string) => link.slice(link.lastIndexOf('/') + 1)
  const tokens = [
    tokenOf(app.notifications.links.acknowledgement({ checkId, flipSeq: Number(nameless?.flip_seq) })),
    tokenOf(app.notifications.links.page(checkId)),
  ]

  const oneOfEach = Object.values(ids).map((some) => String(some[0]))
  const values: Record<string, readonly string[]> = {
    id: [...oneOfEach, uniqueKey(String(ids.checks[0]))],
    n: ['1'],
    hours: ['1'],
    project: ids.projects,
    kind: ['ping_key'],
    name: ['database'],
    token: tokens,
    first: ['x'.repeat(22), other.ping_key as string],
    second: ['parent'],
    third: ['log'],
    key: [keys.api_key_readonly, other.api_key_readonly as string, String(project?.badge_key)],
    signature: [tagSignature],
    states: ['2', '3'],
    file: [
      ...badges.map((badge) => `${badge}.svg`),
      ...badges.map((badge) => `${badge}.shields`),
      `${ownSignature}.svg`,
    ],
    '*': ['prod.svg'],
  }
  const callers: [who: string, headers: Record<string, string>][] = [
    ['the read-only key', as(keys.api_key_readonly)],
    ['the ping key', as(keys.ping_key)],
    ['another project', as(other.api_key)],
    ['another project, read-only', as(other.api_key_readonly)],
    ['nobody', {}],
  ]
  // The id of a delivery opens nothing, and the address of a badge is public.
  const secrets = [
    ...[...ids.checks, ...ids.channels, ...ids.windows, ...ids.projects],
    ...[...Object.values(keys), adminToken, secretPath, webhookSecret],
  ]
  const bodies: Record<string, unknown> = {
    '/api/v3/definitions': { checks: [{ uuid: ids.checks[0] }, { name: 'c', parent: 'parent' }], dry_run: true },
    '/api/v3/heartbeats': [{ check: 'parent' }, { check: ids.checks[0] }],
    '/api/v3/maintenance': { name: 'm', cron: '0 3 * * *', duration: 60, checks: [ids.checks[0]] },
  }

  const wanted = routes
    .filter(({ url }) => !url.includes('/docs/'))
    .flatMap(({ method, url }) => addresses(url, values).map((path) => ({ method, path })))
    .flatMap((one) => callers.map(([who, headers]) => ({ ...one, who, headers })))
  const leaks: string[] = []
  const worker = async () => {
    for (let next = wanted.pop(); next !== undefined; next = wanted.pop()) {
      const { method, path, who, headers } = next
      const sends = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)
      const body = sends ? (bodies[path.replace(/\/$/, '')] ?? {}) : undefined
      const answer = await call(method, path, body, headers)
      calls++
      const request = `${path} ${JSON.stringify(body)} ${JSON.stringify(headers)}`
      // The operator chooses whether projects have a label of their own there: their ids open nothing.
      const hidden = /^\/metrics\/?$/.test(path) ? secrets.filter((secret) => !ids.projects.includes(secret)) : secrets
      for (const secret of shown(answer, request, hidden))
        leaks.push(`${method} ${path} as ${who} (${answer.status}) shows ${secret}`)
    }
  }
  let calls = 0
  await Promise.all(Array.from({ length: 8 }, worker))
  assert.deepEqual(leaks, [])
  const all = await call('GET', '/api/v3/checks/')
  assert.deepEqual(
    shown(all, '', ids.checks).sort(),
    ids.checks.toSorted(),
    'whoever may see them: this is how they are found',
  )
  assert.ok(calls > 1000, `only ${calls} calls`)

  const sees = (await call('GET', '/api/v3/deliveries/', undefined, as(keys.api_key_readonly))).json()
  const [delivery] = sees.deliveries as { check: string; channel: string }[]
  assert.ok(ids.checks.map(uniqueKey).includes(String(delivery?.check)))
  assert.ok(ids.channels.map(uniqueKey).includes(String(delivery?.channel)))
  const found = async (query: string) =>
    ((await call('GET', `/api/v3/deliveries/?${query}`, undefined, as(keys.api_key_readonly))).json().deliveries as [])
      .length
  assert.ok((await found(`check=${delivery?.check}`)) > 0 && (await found(`channel=${delivery?.channel}`)) > 0)
  assert.equal(await found(`check=${'0'.repeat(40)}`), 0)

  const log = readings(await readFile(logFile, 'utf8'))
  const unlogged = secrets.filter((secret) => !ids.projects.includes(secret))
  assert.deepEqual(
    unlogged.filter((secret) => log.includes(secret.toLowerCase())),
    [],
  )
})

test('objects of another project answer like unknown ones, by the same statements', async (t) => {
  const { routes, observe } = watchRoutes()
  const running = await build(t, env, observe)
  const { app, call } = running
  const receiver = await createReceiver(t)
  const ids = await furnish(running, receiver.url)
  const other = (await call('POST', '/api/v3/projects/', { name: 'other' }, admin)).json()

  // The statements of a call, and not those of the loops that run beside it.
  const ofCall = new AsyncLocalStorage<string[]>()
  const query = app.database.query
  app.database.query = (statement, values) => {
    ofCall.getStore()?.push(statement.name)
    return query(statement, values)
  }
  const window = { name: 'm', cron: '0 3 * * *', duration: 60 }
  const ask = async (method: string, url: string, key: unknown) => {
    const asked: string[] = []
    const sends = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)
    const payload = url.includes('maintenance') ? window : url.includes('snooze') ? { for: 60 } : {}
    const request = { method, url, headers: as(key), ...(sends && { payload }) } as InjectOptions
    const { statusCode, body, headers } = await ofCall.run(asked, () => app.inject(request))
    const told = Object.entries(headers).filter(([name]) => !/^(date|x-request-id|ratelimit-.*)$/.test(name))
    // A key that was looked up a moment ago is cached.
    return { status: statusCode, body, told, asked: asked.filter((name) => !name.startsWith('keys_')) }
  }

  let compared = 0
  for (const { method, url } of routes) {
    if (!url.startsWith('/api/') || !url.includes(':id')) continue
    for (const key of [other.api_key, other.api_key_readonly]) {
      for (const foreign of [...Object.values(ids).map((some) => String(some[0])), uniqueKey(String(ids.checks[0]))]) {
        const unknown = foreign.length === 40 ? uniqueKey(randomUUID()) : randomUUID()
        const path = (id: string) =>
          addresses(url, { id: [id], n: ['1'], kind: ['ping_key'], signature: ['x'.repeat(43)] })[0] as string
        const [of, none] = [await ask(method, path(foreign), key), await ask(method, path(unknown), key)]
        const anonymous = (answer: typeof of, id: string) => JSON.stringify(answer).replaceAll(id, '<id>')
        assert.equal(anonymous(of, foreign), anonymous(none, unknown), `${method} ${url}`)
        assert.ok(of.status >= 400 || method === 'OPTIONS' || of.status === 301, `${method} ${url}: ${of.status}`)
        compared++
      }
    }
  }
  assert.ok(compared > 300)
})
