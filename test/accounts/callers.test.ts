// Which caller may call which route, and that a new kind of caller needs one authenticator only.

import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods, RouteOptions } from 'fastify'
import { isPermission, permissionsOf } from '../../src/core/permissions.ts'
import { adminToken, build, keys } from '../helper.ts'
import { sql } from '../postgres.ts'
import { createSession, type People } from './session.ts'

/** The id of no project, check or channel. */
const nobodys = '00000000-0000-4000-8000-000000000000'
const metricsToken = 'test-metrics-token-0000000000000000'
const unlimited = {
  FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0',
  FLATLINE__LIMITS__CALLS_PER_MINUTE: '0',
  FLATLINE__ADMIN__CALLS_PER_MINUTE: '0',
}

const replicaToken = 'a-token-that-only-the-replica-knows'
const secrets = {
  nobody: '',
  stranger: 'x'.repeat(32),
  editor: keys.api_key,
  reader: keys.api_key_readonly,
  sender: keys.ping_key,
  admin: adminToken,
  collector: metricsToken,
  replica: replicaToken,
}
type Link = 'acknowledging' | 'looking' | 'confirming' | 'unsubscribing'
type Who = keyof typeof secrets | Link

/** Who may call the routes of this pattern. The first that matches counts; what matches none is for the read-write key alone. */
const rights: [route: RegExp, who: Who[]][] = [
  [/ \/(admin|circuit-breaker|api\/v1\/circuit-breakers)\b/, ['admin']],
  [/ \/api\/v3\/(projects|service-alerts|quarantine)\b/, ['admin']],
  [/^GET \/metrics\b/, ['collector']],
  [/^POST \/replicas\//, ['replica']],
  [/ \/acknowledge\/:token/, ['acknowledging']],
  [/ \/checks\/:token/, ['looking']],
  [/ \/confirm\/:token/, ['confirming']],
  [/ \/api\/v3\/channels\/:id\/unsubscribe\//, ['unsubscribing']],
  [/^GET \/projects\/:project\/metrics\/|^GET \/projects\/:project\/checks\/metrics\//, ['reader']],
  [/^POST \/api\/v3\/heartbeats\b/, ['editor', 'sender']],
  [/^GET \/api\/v3\/audit\b/, ['editor', 'admin']],
  [/^GET \/api\/v3\/health-metrics\b/, ['editor', 'reader', 'admin']],
  [/^GET \/api\/v3\/(deliveries|quota)\b/, ['editor', 'reader']],
  [/^GET \/api\/v\d\/(checks|badges)\/$/, ['editor', 'reader']],
  [/^GET \/api\/v\d\/checks\/:id(\([^)]*\))?(\/flips\/)?$/, ['editor', 'reader']],
]

test('every route accepts the callers that have its permission, and no others', async (t) => {
  const routes: { method: HTTPMethods; pattern: string }[] = []
  const observe = (route: RouteOptions) => {
    if (!isPermission(route.config?.requires ?? 'public')) return
    // Both run after a guard, and answer every accepted call before its route does anything.
    const accept = (request: FastifyRequest, reply: FastifyReply) => reply.code(299).send(request.principal.kind)
    route.preValidation = async (request, reply) => (request.principal === null ? undefined : accept(request, reply))
    route.preHandler = async (request, reply) => accept(request, reply)
    for (const method of [route.method].flat())
      if (method !== 'HEAD') routes.push({ method: method as HTTPMethods, pattern: route.url })
  }
  const { app, databaseUrl } = await build(t, { ...unlimited, ...mail, METRICS_TOKEN: metricsToken }, (app) =>
    app.addHook('onRoute', observe),
  )
  assert.ok(routes.length > 100, String(routes.length))
  const replica = await insertReplica(databaseUrl)
  const links = await linksOf(app, databaseUrl)

  const wrong: string[] = []
  const kinds = new Set<string>()
  for (const { method, pattern } of routes) {
    const name = `${method} ${pattern}`
    const [, expected] = rights.find(([route]) => route.test(name)) ?? [null, ['editor']]
    const tries: [who: string, url: string, headers: Record<string, string>][] = [
      ...Object.entries(secrets).map(([who, secret]): [string, string, Record<string, string>] => [
        ...([who, addressOf(pattern, secret, replica)] as const),
        secret === '' ? {} : { authorization: `Bearer ${secret}` },
      ]),
      ...Object.entries(links).map(([who, params]): [string, string, Record<string, string>] => [
        ...([who, addressOf(withParams(pattern, params), '', replica)] as const),
        {},
      ]),
    ]
    const accepted: string[] = []
    for (const [who, url, headers] of tries) {
      const { statusCode, body } = await app.inject({ method, url, headers })
      if (statusCode === 299) kinds.add(body)
      if (statusCode === 299) accepted.push(who)
      else assert.ok([400, 401, 403, 404].includes(statusCode), `${name} as ${who}: ${statusCode}`)
    }
    if (String(accepted) !== String(expected)) wrong.push(`${name}: ${accepted}`)
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual([...kinds].sort(), app.authenticators.map(({ name }) => name).sort())
})

test('a new authenticator needs one file and one line: all routes, limits and the audit log accept it', async (t) => {
  const people: People = {}
  const { app, call, databaseUrl } = await build(t, { FLATLINE__LIMITS__CALLS_PER_MINUTE: '3' })
  app.authenticators.push(createSession(people))
  const [project] = await sql<{ id: string }>(databaseUrl, 'SELECT id FROM projects')
  const projectId = String(project?.id)
  people.a1 = { name: 'Ann', projectId, permissions: permissionsOf('editor') }
  people.b2 = { name: 'Bob', projectId, permissions: permissionsOf('reader') }
  const as = (session: string) => ({ cookie: `session=${session}` })

  // More than is read of a body that may hold the key: the session is known before.
  const body = { name: 'of Ann', ignored: 'x'.repeat(70_000) }
  const made = await call('POST', '/api/v3/checks/', body, as('a1'))
  assert.equal(made.status, 201, made.text)
  assert.ok(made.json().uuid, 'an editor is shown addresses')
  const seen = (await call('GET', '/api/v3/checks/', undefined, as('b2'))).json().checks as Record<string, unknown>[]
  assert.deepEqual(
    seen.map(({ name, uuid }) => [name, uuid]),
    [['of Ann', undefined]],
  )
  const [row] = await sql<{ actor: string; project_id: string }>(
    databaseUrl,
    "SELECT actor, project_id FROM audit WHERE action = 'check.create'",
  )
  assert.deepEqual([row?.actor, row?.project_id], ['Ann', projectId])

  const refusals = [
    await call('POST', '/api/v3/definitions/', { checks: [] }, as('b2')),
    await call('GET', '/api/v3/definitions/', undefined, as('c3')),
    await call('GET', '/api/v3/projects/', undefined, as('a1')),
  ]
  assert.deepEqual(
    refusals.map(({ status, text }) => [status, JSON.parse(text).error]),
    [
      [401, 'wrong session'],
      [401, 'wrong session'],
      [401, 'missing token'],
    ],
  )

  const statuses: number[] = []
  for (let i = 0; i < 3; i++) statuses.push((await call('GET', '/api/v3/quota/', undefined, as('a1'))).status)
  assert.deepEqual(statuses, [200, 200, 429], 'her calls are counted by themselves')

  const { components, paths } = JSON.parse((await call('GET', '/api/openapi.json')).text)
  assert.equal(components.securitySchemes.session.in, 'cookie')
  const acceptsSession = ({ security }: { security: object[] }) => security.some((one) => 'session' in one)
  assert.equal(acceptsSession(paths['/api/v3/checks/'].post), true)
  assert.equal(acceptsSession(paths['/api/v3/projects/'].post), false)
})

const mail = { SMTP_RELAY_HOST: '127.0.0.1', SMTP_RELAY_PORT: '9', SMTP_RELAY_FROM: 'flatline@example.org' }

/** What each link has in its address, of a channel that mails and of a check. */
async function linksOf(app: FastifyInstance, databaseUrl: string): Promise<Record<Link, Record<string, string>>> {
  const [project] = await sql<{ id: string }>(databaseUrl, 'SELECT id FROM projects')
  const projectId = String(project?.id)
  const recipient = 'ops@example.net'
  const { id } = await app.channels.create(
    { projectId, actor: 'test', requestId: 'test' },
    { kind: 'email', name: 'ops', settings: { to: recipient } },
  )
  const last = (link: string) => String(link.split('/').at(-1))
  const { links } = app.notifications
  return {
    acknowledging: { token: last(links.acknowledgement({ checkId: nobodys, flipSeq: 1 })) },
    looking: { token: last(links.page(nobodys)) },
    confirming: { token: last(app.channels.recipients.link(projectId, recipient)) },
    unsubscribing: { id, signature: last(app.channels.links.link(id, recipient)) },
  }
}

async function insertReplica(databaseUrl: string): Promise<string> {
  const id = randomUUID()
  const tokenHash = createHash('sha256').update(replicaToken).digest('hex')
  await sql(
    databaseUrl,
    `INSERT INTO replicas (id, seen_at, spools, heard_through, token_hash) VALUES ($1, now(), true, now() - interval '1 minute', $2)`,
    [id, tokenHash],
  )
  return id
}

const withParams = (pattern: string, params: Record<string, string>) =>
  pattern.replace(/:(token|signature|id(?=\/unsubscribe))/g, (name, param: string) => params[param] ?? name)

function addressOf(pattern: string, secret: string, replica: string): string {
  return pattern
    .replace('/replicas/:id', `/replicas/${replica}`)
    .replace(':id(^[0-9a-f]{40}$)', 'a'.repeat(40))
    .replace(':id', nobodys)
    .replace(':project', nobodys)
    .replace(/:key$/, secret || 'x')
    .replace(/:n\b/, '1')
    .replace(':hours', '1')
    .replace(/:(token|signature)/, 'x')
    .replace(':kind', 'api_key')
    .replace(':name', 'database')
}
