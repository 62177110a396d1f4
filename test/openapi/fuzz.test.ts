// Whatever is sent to a call of the document gets an answer of the document. FUZZ_SEED repeats a run, FUZZ_RUNS lengthens it.

import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { adminToken, build, createReceiver, keys, type Running } from '../helper.ts'
import { type Document, documentOf, type Operation, operationsOf, problems } from './described.ts'
import { type Answered, exchange, requestsOf, type Sent } from './requests.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20261129)
const runs = Number(process.env.FUZZ_RUNS ?? 8)

/** Limits have tests of their own; here each request must reach its handler. */
const unlimited = {
  FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '0',
  FLATLINE__LIMITS__MAX_EVENT_LOOP_UTILIZATION: '0',
  FLATLINE__LIMITS__CALLS_PER_MINUTE: '0',
  FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0',
  FLATLINE__ADMIN__CALLS_PER_MINUTE: '0',
}
/** What may be answered at any address, whatever the document says of it. */
const generic = [400, 404, 405, 413, 414, 415, 431]
const leaks =
  /\bat \S+ \(|node:internal|\.ts:\d+|node_modules|\bSELECT\b|\bINSERT INTO\b|PrismaClient|SQLSTATE|syntax error at/
const admin = { authorization: `Bearer ${adminToken}` }

type World = {
  running: Running
  document: Document
  known: (path: string, name: string) => string[]
  adapt: (body: unknown) => unknown
  /** Of the project whose keys a call may change. */
  otherKey: string
}

test('every call answers every request as its document says', async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed} FUZZ_RUNS=${runs}`)
  const world = await prepare(await build(t, unlimited), (await createReceiver(t)).url)
  const found: string[] = []
  const statuses: Record<number, number> = {}
  const ask = async (request: Sent, template = '', operation?: Operation) => {
    const answer = await exchange(world.running.url, request)
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
    const wrong =
      operation === undefined ? undocumented(request, answer) : unlikeDocument(template, request, answer, operation)
    if (wrong.length > 0)
      throw new Error(`${describe(request)} → ${answer.status} ${answer.text.slice(0, 300)}: ${wrong}`)
  }

  for (const [index, { path, method, operation }] of operationsOf(world.document).entries()) {
    const arbitrary = requestsOf(path, operation, world.known, world.adapt)
    const property = fc.asyncProperty(
      arbitrary,
      fc.constantFrom(...credentialsOf(path, operation, world)),
      (parts, key) => ask(requestOf(method, parts, key), path, operation),
    )
    const result = await fc.check(property, { seed: seed + index, numRuns: runs, endOnFailure: true })
    if (result.failed) found.push(String(result.errorInstance))
  }
  for (const [path, methods] of Object.entries(world.document.paths)) {
    for (const method of ['TRACE', 'PATCH', 'PUT', 'DELETE', 'POST', 'PROPFIND'].filter((one) =>
      METHODS.includes(one),
    )) {
      if (method.toLowerCase() in methods) continue
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => world.known(path, name)[0] ?? '1')
      await ask({ method, path: filled, headers: { 'x-api-key': keys.api_key } }).catch((error) =>
        found.push(String(error)),
      )
    }
  }
  t.diagnostic(`requests by status: ${JSON.stringify(statuses)}`)
  assert.deepEqual(found, [])
  await isWell(world)
})

async function prepare(running: Running, receiver: string): Promise<World> {
  const { call } = running
  const make = async (path: string, body: object, headers?: Record<string, string>) => {
    const answer = await call('POST', path, body, headers)
    assert.equal(answer.status, 201, answer.text)
    return answer.json()
  }
  const projects = [
    await make('/api/v3/projects/', { name: 'a' }, admin),
    await make('/api/v3/projects/', { name: 'b' }, admin),
  ]
  const channels = await make('/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: receiver } })
  const checks = [await make('/api/v3/checks/', { name: 'a' }), await make('/api/v3/checks/', { name: 'b' })]
  const window = { name: 'w', cron: '0 2 * * SUN', duration: 3600 }
  const maintenance = await make('/api/v3/maintenance/', window)
  const ids: [RegExp, string, unknown[]][] = [
    [/\/checks\/\{id}/, 'id', checks.map(({ uuid }) => uuid)],
    [/\/channels\/\{id}/, 'id', [channels.id]],
    [/\/maintenance\/\{id}/, 'id', [maintenance.id]],
    [/\/projects\/\{id}/, 'id', [projects[0]?.id]],
    [/^(\/ping)?\/\{first}\/?$/, 'first', checks.map(({ uuid }) => uuid)],
    [/\{first}\/\{second}/, 'first', [keys.ping_key, checks[0]?.uuid]],
    [/\{second}/, 'second', ['a', 'start', 'fail', '3']],
    [/./, 'hours', ['4']],
    [/./, 'name', ['database']],
  ]
  return {
    running,
    document: await documentOf(running),
    known: (path, name) =>
      ids.filter(([at, of]) => of === name && at.test(path)).flatMap(([, , values]) => values.map(String)),
    adapt: (body) => withinReach(body, receiver),
    otherKey: String(projects[1]?.api_key),
  }
}

/** Channels lead to this machine and to nowhere else. */
function withinReach(body: unknown, receiver: string): unknown {
  if (body === null || typeof body !== 'object' || !('settings' in body) || !('kind' in body)) return body
  return {
    ...body,
    kind: typeof body.kind === 'string' ? 'webhook' : body.kind,
    settings: { ...(body.settings as object), url: receiver },
  }
}

function credentialsOf(path: string, { security }: Operation, { otherKey }: World): Record<string, string>[] {
  const schemes = security.flatMap((one) => Object.keys(one))
  const readOnly = { 'x-api-key': keys.api_key_readonly }
  const wrong = [{}, { 'x-api-key': 'not a key' }, readOnly]
  if (path === '/admin/shutdown' || path === '/admin/log-level') return wrong
  if (path === '/api/v3/keys/adopt/') return [{ 'x-api-key': otherKey }, ...wrong]
  if (schemes.includes('apiKey')) return [...Array(4).fill({ 'x-api-key': keys.api_key }), ...wrong]
  if (schemes.includes('adminToken')) return [...Array(4).fill(admin), ...wrong]
  return [{ authorization: `Bearer ${keys.api_key_readonly}` }, {}]
}

type Parts = { path: string; query: string; body?: Buffer; contentType?: string }

function requestOf(method: string, { path, query, body, contentType }: Parts, key: Record<string, string>): Sent {
  const carries = body !== undefined && method !== 'GET' && method !== 'HEAD'
  const headers =
    carries && contentType ? { ...key, 'content-type': contentType, 'content-length': String(body.length) } : key
  return { method, path: path + query, headers, ...(carries && { body }) }
}

const describe = ({ method, path, headers, body }: Sent) =>
  `${method} ${path.slice(0, 200)} ${JSON.stringify(headers)} ${body?.toString().slice(0, 300) ?? ''}`

function unlikeDocument(template: string, { method, path }: Sent, answer: Answered, operation: Operation): string[] {
  const { status, text, headers } = answer
  if (isOfNoAddress(template, path, answer)) return unfit(answer)
  const described = operation.responses[String(status)]
  if (described === undefined && !generic.includes(status)) return [`${status} is not documented`]
  const wrong = unfit(answer)
  if (described === undefined) return [...wrong, ...unlikeOurs(answer, operation)]
  const type = String(headers['content-type'] ?? '').split(';')[0] as string
  if (text === '') {
    if (described.content !== undefined && method !== 'HEAD') wrong.push('has no body')
    return wrong
  }
  const media = described.content?.[type]
  if (media === undefined) return [...wrong, `is ${type}, which is not documented`]
  return type === 'application/json' ? [...wrong, ...problems(media.schema, JSON.parse(text))] : wrong
}

/**
 * A path with an empty part is the path of another call. A part that cannot be decoded or is too long, and a path that
 * is not a ping without `/ping/` before it, are answered in Flatline's own form for any call.
 */
function isOfNoAddress(template: string, address: string, { status, text }: Answered): boolean {
  const parts = (address.split('?')[0] as string).split('/')
  const given = template.split('/').flatMap((part, i) => (part.startsWith('{') ? [parts[i] ?? ''] : []))
  if (given.includes('')) return true
  const isOdd = given.some((part) => part.includes('%') || part.length > 100)
  if (isOdd && status === 400) return text === '{"error":"invalid url format","code":"bad_request"}'
  const isBare = template.startsWith('/{')
  return (isOdd || isBare) && status === 404 && text === '{"error":"not found","code":"not_found"}'
}

/** Where any error of the call is in our form, what the document does not name is, too. */
function unlikeOurs({ text }: Answered, operation: Operation): string[] {
  const schemas = Object.entries(operation.responses)
    .filter(([status]) => status.startsWith('4'))
    .flatMap(([, { content }]) => content?.['application/json']?.schema ?? [])
  const isOurs =
    schemas.length > 0 && schemas.every((one) => (one as { required?: string[] }).required?.includes('code'))
  if (!isOurs) return []
  const { error, code } = JSON.parse(text) as Record<string, unknown>
  return typeof error === 'string' && typeof code === 'string' ? [] : ['is not {error, code}']
}

function undocumented({ method }: Sent, answer: Answered): string[] {
  const { status, headers } = answer
  const wrong = unfit(answer)
  if (status !== 405) return [...wrong, `${method} is not refused with 405`]
  if (headers.allow === undefined) wrong.push('405 without Allow')
  return wrong
}

function unfit({ status, text }: Answered): string[] {
  const wrong = status >= 500 && status !== 503 ? [`${status}`] : []
  return status >= 400 && leaks.test(text) ? [...wrong, 'tells of its inside'] : wrong
}

async function isWell({ running: { call } }: World): Promise<void> {
  const made = await call('POST', '/api/v3/checks/', { name: 'after' })
  assert.equal(made.status, 201, made.text)
  assert.equal((await call('GET', `/ping/${made.json().uuid}`, undefined, {})).text, 'OK')
  assert.equal((await call('GET', '/api/v3/checks/?limit=10')).status, 200)
  const quarantined = (await call('GET', '/api/v3/quarantine/', undefined, admin)).json()
  assert.deepEqual(Object.values(quarantined).find(Array.isArray), [], 'nothing is in the quarantine')
}
