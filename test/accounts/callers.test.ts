// Which caller may call which route, and what it takes to add a kind of caller.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HTTPMethods, RouteOptions } from 'fastify'
import { isPermission, permissionsOf } from '../../src/core/permissions.ts'
import { adminToken, build, keys } from '../helper.ts'
import { sql } from '../postgres.ts'
import { createSession, type People } from './session.ts'

const metricsToken = 'test-metrics-token-0000000000000000'
const unlimited = {
  FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0',
  FLATLINE__LIMITS__CALLS_PER_MINUTE: '0',
  FLATLINE__ADMIN__CALLS_PER_MINUTE: '0',
}

const callers = {
  nobody: '',
  stranger: 'x'.repeat(32),
  editor: keys.api_key,
  reader: keys.api_key_readonly,
  sender: keys.ping_key,
  admin: adminToken,
  collector: metricsToken,
}
type Who = keyof typeof callers

/** Who may call the routes of this pattern. The first that matches counts; what matches none is for the read-write key alone. */
const rights: [route: RegExp, who: Who[]][] = [
  [/ \/(admin|circuit-breaker|api\/v1\/circuit-breakers)\b/, ['admin']],
  [/ \/api\/v3\/(projects|service-alerts|quarantine)\b/, ['admin']],
  [/^GET \/metrics\b/, ['collector']],
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
    // Runs after the guard and answers every accepted call before its route does anything.
    route.preValidation = async (request, reply) => reply.code(299).send(request.principal.label)
    for (const method of [route.method].flat())
      if (method !== 'HEAD') routes.push({ method: method as HTTPMethods, pattern: route.url })
  }
  const { app } = await build(t, { ...unlimited, METRICS_TOKEN: metricsToken }, (app) =>
    app.addHook('onRoute', observe),
  )
  assert.ok(routes.length > 80, String(routes.length))

  const wrong: string[] = []
  for (const { method, pattern } of routes) {
    const name = `${method} ${pattern}`
    const [, expected] = rights.find(([route]) => route.test(name)) ?? [null, ['editor']]
    const accepted: string[] = []
    for (const [who, secret] of Object.entries(callers)) {
      const headers = secret === '' ? {} : { authorization: `Bearer ${secret}` }
      const { statusCode } = await app.inject({ method, url: addressOf(pattern, secret), headers })
      if (statusCode === 299) accepted.push(who)
      else assert.ok([400, 401, 403].includes(statusCode), `${name} as ${who}: ${statusCode}`)
    }
    if (String(accepted) !== String(expected)) wrong.push(`${name}: ${accepted}`)
  }
  assert.deepEqual(wrong, [])
})

test('a new authenticator is a file and a line: routes, limits, audit and API description accept it', async (t) => {
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

function addressOf(pattern: string, secret: string): string {
  return pattern
    .replace(':id(^[0-9a-f]{40}$)', 'a'.repeat(40))
    .replace(':id', '00000000-0000-4000-8000-000000000000')
    .replace(':project', '00000000-0000-4000-8000-000000000000')
    .replace(/:key$/, secret || 'x')
    .replace(/:n\b/, '1')
    .replace(':kind', 'api_key')
    .replace(':name', 'database')
}
