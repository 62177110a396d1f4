// The document against the service: every call is in it, it is valid, its examples follow its schemas, and so do real answers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteOptions } from 'fastify'
import { adminToken, build, createReceiver, eventually, keys } from '../helper.ts'
import { documentOf, operationsOf, problems } from './described.ts'

test('the document is valid OpenAPI 3.1; each operation has a name, a tag, a summary and answers', async (t) => {
  const running = await build(t)
  const document = await documentOf(running)
  const operations = operationsOf(document)
  assert.ok(operations.length > 80)
  const ids = operations.map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length, 'each once')
  for (const { name, operation } of operations) {
    assert.match(operation.operationId, /^[a-z][A-Za-z0-9]*$/, name)
    assert.equal(operation.tags.length, 1)
    assert.ok(operation.summary.length > 5 && Array.isArray(operation.security), name)
    for (const { description } of Object.values(operation.responses))
      assert.notEqual(description, 'Default Response', name)
    for (const [, variable] of name.matchAll(/\{(\w+)\}/g))
      assert.ok(
        operation.parameters?.some((one) => one.in === 'path' && one.name === variable),
        `${name} ${variable}`,
      )
  }
})

test('every path parameter has a pattern, its values or its limits', async (t) => {
  const operations = operationsOf(await documentOf(await build(t)))
  const loose = operations.flatMap(({ name, operation: { parameters = [] } }) =>
    parameters
      .filter((one) => one.in === 'path')
      .filter(({ schema }) => !['pattern', 'enum', 'minimum', 'minLength', 'maxLength'].some((rule) => rule in schema))
      .map((one) => `${name} ${one.name}`),
  )
  assert.deepEqual(loose, [])
})

test('the document contains every call of the service, and no other', async (t) => {
  const routes: RouteOptions[] = []
  const running = await build(t, {}, (app) => app.addHook('onRoute', (route) => void routes.push(route)))
  const missing = routes.filter((route) => {
    const { method, url, config, schema } = route
    if (config?.undocumented || method === 'OPTIONS' || method === 'HEAD') return false
    // 405 of an address that is described, and the files of the page.
    if (config?.requires === 'ingest' && [method].flat().includes('DELETE')) return false
    return !url.startsWith('/api/docs/') && schema?.operationId === undefined
  })
  const nameOf = ({ method, url }: RouteOptions) => `${[method].flat().join(',')} ${url}`
  assert.deepEqual(missing.map(nameOf), [], 'describe the new route in its schema')
  const described = routes.filter(
    ({ method, schema, config }) => schema?.operationId !== undefined && !config?.undocumented && method !== 'HEAD',
  )
  const calls = described.flatMap(({ method }) => method).length
  assert.equal(operationsOf(await documentOf(running)).length, calls, 'one operation for each method of each route')
})

test('examples match their schemas, and every body has one', async (t) => {
  const document = await documentOf(await build(t))
  let checked = 0
  for (const { name, operation } of operationsOf(document)) {
    const bodies = Object.values(operation.requestBody?.content ?? {}).map((media) => [name, media] as const)
    const answers = Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
      Object.entries(content).map(([type, media]) => [`${name} ${status} ${type}`, media] as const),
    )
    for (const [what, { schema, example, examples }] of [...bodies, ...answers]) {
      const all = example === undefined ? Object.values(examples ?? {}).map(({ value }) => value) : [example]
      assert.ok(all.length > 0, `${what} has no example`)
      for (const value of all) assert.deepEqual(problems(schema, value), [], what)
      checked++
    }
    for (const { name: parameter, schema, example } of operation.parameters ?? []) {
      if (example !== undefined) assert.deepEqual(problems(schema, example), [], `${name} ${parameter}`)
    }
  }
  assert.ok(checked > 200)
})

/** What many calls at once on a busy machine would be answered otherwise. */
const neverShed = {
  FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '0',
  FLATLINE__LIMITS__MAX_EVENT_LOOP_UTILIZATION: '0',
}

test('real answers match the schemas of the document', async (t) => {
  const running = await build(t, neverShed)
  const document = await documentOf(running)
  const { call } = running
  const admin = { authorization: `Bearer ${adminToken}` }
  const readOnly = { 'x-api-key': keys.api_key_readonly }
  const receiver = await createReceiver(t)
  let checked = 0

  async function ask(
    method: string,
    template: string,
    values: Record<string, unknown>,
    body?: unknown,
    headers?: Record<string, string>,
  ) {
    const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])))
    const answer = await call(method, path + (values.query ?? ''), body, headers)
    const operation = document.paths[template]?.[method.toLowerCase()]
    const described = operation?.responses[String(answer.status)]
    assert.ok(described, `${method} ${template} ${answer.status} ${answer.text}`)
    const type = String(answer.headers.get('content-type')).split(';')[0] as string
    const media = described.content?.[type]
    if (answer.text === '') assert.equal(described.content, undefined, template)
    else assert.ok(media, `${method} ${template} ${answer.status} is ${type}`)
    if (type === 'application/json' && media)
      assert.deepEqual(problems(media.schema, answer.json()), [], `${method} ${template}`)
    checked++
    return answer
  }

  const channel = { kind: 'webhook', name: 'hook', settings: { url: receiver.url } }
  const { id } = (await ask('POST', '/api/v3/channels/', {}, channel)).json()
  const settings = { name: 'a', tags: 'x', channels: '*', max_runtime: 60, track_runs: true }
  const parent = (await ask('POST', '/api/v3/checks/', {}, { name: 'parent' })).json()
  const { uuid } = (await ask('POST', '/api/v3/checks/', {}, { ...settings, parent: parent.uuid })).json()
  for (const [action, body] of [['start'], ['0', 'fine'], ['fail', 'broken']] as const)
    await ask('POST', '/ping/{first}/{second}', { first: uuid, second: action }, body, {})
  await eventually('the alert', () => receiver.received.length > 0)
  for (const version of [1, 2, 3]) {
    const api = `/api/v${version}`
    for (const headers of [undefined, readOnly]) {
      await ask('GET', `${api}/checks/`, { query: '?limit=1' }, undefined, headers)
      await ask('GET', `${api}/checks/{id}`, { id: uuid }, undefined, headers)
      await ask('GET', `${api}/checks/{id}/flips/`, { id: uuid }, undefined, headers)
      await ask('GET', `${api}/badges/`, {}, undefined, headers)
    }
    await ask('GET', `${api}/checks/{id}/pings/`, { id: uuid })
    await ask('GET', `${api}/checks/{id}/pings/{n}/body`, { id: uuid, n: 2 })
    await ask('GET', `${api}/channels/`, {})
    await ask('GET', `${api}/status/`, {})
    await ask('POST', `${api}/checks/{id}/pause`, { id: uuid })
    await ask('POST', `${api}/checks/{id}/resume`, { id: uuid })
    await ask('POST', `${api}/checks/{id}/resume`, { id: uuid })
    await ask('POST', `${api}/checks/{id}`, { id: uuid }, { timeout: 0 })
    await ask('POST', `${api}/checks/{id}`, { id: uuid }, { schedule: '* * * * *' })
    await ask('GET', `${api}/checks/{id}`, { id: crypto.randomUUID() })
    await ask('GET', `${api}/checks/{id}`, { id: uuid }, undefined, {})
  }
  for (const path of [
    'live',
    'ready',
    'liveness',
    'readiness',
    'health',
    'status',
    'health/live',
    'health/ready',
    'metrics',
  ])
    await ask('GET', `/${path}`, {}, undefined, {})
  await ask('GET', '/api/v3/channels/{id}/', { id })
  await ask('PATCH', '/api/v3/channels/{id}/', { id }, { name: 'b' })
  await ask('POST', '/api/v3/channels/{id}/test/', { id })
  await ask('POST', '/api/v3/channels/', {}, {})
  await ask('GET', '/api/v3/deliveries/', {})
  await ask('GET', '/api/v3/definitions/', {})
  await ask('POST', '/api/v3/definitions/', {}, { checks: [{ uuid, name: 'c' }, { name: 'new' }, 5], dry_run: true })
  await ask('GET', '/api/v3/audit/', {})
  await ask('GET', '/api/v3/health-metrics/', { query: '?name=checks' })
  await ask('GET', '/api/v3/health-metrics/names/', {})
  await ask('POST', '/api/v3/keys/adopt/', {}, { badge_key: 'of-another-server' })
  const project = (await ask('POST', '/api/v3/projects/', {}, { name: 'p' }, admin)).json()
  await ask('GET', '/api/v3/projects/', {}, undefined, admin)
  await ask('POST', '/api/v3/projects/{id}/keys/{kind}/rotate/', { id: project.id, kind: 'ping_key' }, undefined, admin)
  await ask(
    'GET',
    '/projects/{project}/metrics/{key}',
    { project: project.id, key: keys.api_key_readonly },
    undefined,
    {},
  )
  await ask('GET', '/projects/{project}/metrics/', { project: project.id }, undefined, {})
  await ask('DELETE', '/api/v3/projects/{id}/', { id: project.id }, undefined, admin)
  await ask('GET', '/api/v1/circuit-breakers/status/', {}, undefined, admin)
  await ask('POST', '/api/v1/circuit-breakers/{name}/reset/', { name: 'database' }, undefined, admin)
  await ask('GET', '/admin/log-level', {}, undefined, admin)
  await ask('POST', '/admin/reencrypt', {}, undefined, admin)
  await ask('GET', '/api/v3/service-alerts/', {}, undefined, admin)
  await ask('GET', '/api/v3/quarantine/', {}, undefined, admin)
  await ask('POST', '/api/v3/quarantine/retry/', {}, {}, admin)
  const window = { name: 'weekly', cron: '0 2 * * SUN', duration: 3600, tags: ['x'] }
  const kept = (await ask('POST', '/api/v3/maintenance/', {}, window)).json()
  await ask('GET', '/api/v3/maintenance/', {})
  await ask('PUT', '/api/v3/maintenance/{id}/', { id: kept.id }, { ...window, name: 'nightly' })
  await ask('GET', '/api/v3/maintenance/{id}/', { id: kept.id })
  await ask('DELETE', '/api/v3/maintenance/{id}/', { id: kept.id })
  await ask('POST', '/api/v3/checks/{id}/snooze/', { id: uuid }, { for: 60 })
  await ask('GET', '/api/v3/checks/{id}/attention/', { id: uuid })
  await ask('GET', '/checks/{token}', { token: 'x' }, undefined, {})
  await ask('GET', '/acknowledge/{token}', { token: 'x' }, undefined, {})
  await ask('GET', '/confirm/{token}', { token: 'x' }, undefined, {})
  await ask('DELETE', '/api/v3/channels/{id}/', { id })
  await ask('DELETE', '/api/v3/checks/{id}', { id: uuid })
  t.diagnostic(`${checked} answers compared`)
})

test('the page of the document loads nothing from elsewhere, and its policy allows its own files', async (t) => {
  const { call, url } = await build(t)
  for (const path of ['/api/docs', '/api/docs/']) {
    const page = await call('GET', path, undefined, {})
    assert.equal(page.status, 200)
    const policy = String(page.headers.get('content-security-policy'))
    assert.match(policy, /default-src 'none'; script-src 'self';/)
    assert.ok(!/https?:/.test(policy) && !policy.includes("script-src 'self' 'unsafe"))
    assert.ok(!/<script(?![^>]* src=)[^>]*>/.test(page.text), 'no script of its own')
    for (const [, address] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const absolute = new URL(address as string, `${url}${path}`)
      assert.equal(absolute.origin, url, 'nothing from elsewhere')
      assert.equal((await fetch(absolute)).status, 200, address)
    }
  }
  assert.match(
    (await call('GET', '/api/v3/checks/')).headers.get('content-security-policy') ?? '',
    /^default-src 'none'/,
  )
})
