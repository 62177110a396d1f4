// Every body that the document describes is accepted, answered as the document says, and read back as it was written;
// what it changed is in the audit log.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { keys } from '../helper.ts'
import { sql } from '../postgres.ts'
import { unlikeDocument } from './answers.ts'
import { type Real, valuesOf } from './bodies.ts'
import { operationsOf } from './described.ts'
import { exchange, type Schema } from './requests.ts'
import { keyFor, prepare, type World } from './world.ts'

const hourMs = 3_600_000
const shownMax = 300
/** Heartbeats are their own record. */
const withoutEntry = ['uploadHeartbeats']

test('every body that the document describes is accepted, and is read as it was written', async (t) => {
  const world = await prepare(t)
  const found: string[] = []
  const writing: string[] = []
  let sent = 0
  for (const { name, method, path, operation } of operationsOf(world.document)) {
    const schema = operation.requestBody?.content['application/json']?.schema as Schema | undefined
    if (schema === undefined) continue
    const filled = path.replace(/\{(\w+)\}/g, (_, parameter: string) => world.known(path, parameter)[0] as string)
    const common = { 'content-type': 'application/json', 'x-request-id': operation.operationId }
    const headers = { ...keyFor(path, operation, world), ...common }
    writing.push(operation.operationId)
    const bodies = bodiesOf(operation.operationId, schema, world)
    assert.ok(bodies.length > 1, name)
    for (const value of bodies) {
      const body = Buffer.from(JSON.stringify(value))
      const request = { method, path: filled, headers: { ...headers, 'content-length': String(body.length) }, body }
      const answer = await exchange(world.running.url, request)
      const isTaken = answer.status === 200 || answer.status === 201
      const wrong = [
        ...unlikeDocument(path, request, answer, operation),
        ...(isTaken ? unlikeSent(value, JSON.parse(answer.text)) : ['is refused']),
      ]
      if (wrong.length > 0)
        found.push(
          `${name} ${String(body).slice(0, shownMax)} → ${answer.status} ${answer.text.slice(0, shownMax)}: ${wrong}`,
        )
      sent++
    }
  }
  t.diagnostic(`${sent} bodies`)
  assert.deepEqual(found, [])
  const entries = await sql<{ request_id: string }>(
    world.running.databaseUrl,
    "SELECT DISTINCT request_id FROM audit WHERE action <> 'auth.success'",
  )
  const recorded = new Set(entries.map(({ request_id }) => request_id))
  assert.deepEqual(writing.filter((operation) => !recorded.has(operation)).sort(), withoutEntry)
})

/** What each call needs beyond its schema. */
function realValues(operationId: string, { known, receiver }: World): Record<string, readonly unknown[]> {
  const [check, parent] = known('/checks/{id}', 'id') as [string, string]
  const channels = known('/channels/{id}', 'id')
  const to = channels.slice(1)
  const soon = new Date(Date.now() + hourMs).toISOString()
  const tz = ['Europe/Riga', 'UTC', 'America/Argentina/ComodRivadavia']
  const schedule = ['15 3 * * *', 'Mon..Fri *-*-* 10:00', '*/5 0-23/2 1,15 JAN-DEC MON#1']
  if (/^(create|update)Check/.test(operationId))
    return {
      ...{ tz, schedule, parent: [parent, null], paused_until: [soon, null] },
      ...{ channels: ['*', '', ...channels, channels.join()], api_key: [keys.api_key] },
      // No two checks may have the same.
      push_token: [null],
    }
  const own: Record<string, Record<string, readonly unknown[]>> = {
    applyDefinitions: {
      ...{ 'checks.tz': tz, 'checks.schedule': schedule, 'checks.parent': [parent], 'checks.paused_until': [soon] },
      ...{ 'checks.channels': ['*', [], channels], prune: [false] },
      'checks.badge_key': [crypto.randomUUID()],
      'checks.push_token': [null],
    },
    createChannel: {
      kind: ['webhook'],
      settings: [{ url: receiver }],
      'alerts.escalate.to': to,
      'alerts.quiet_hours.tz': tz,
    },
    updateChannel: { settings: [{ url: receiver }], 'alerts.escalate.to': to, 'alerts.quiet_hours.tz': tz },
    uploadHeartbeats: { check: [check, parent], at: [new Date().toISOString()], rid: [crypto.randomUUID()] },
    // There is none.
    retryQuarantine: { ids: [] },
    setLogLevel: { level: ['silent'] },
    // The largest are the operator's to say.
    updateProject: {
      'quota.checks': [1000, 0, null],
      'quota.channels': [100, 0, null],
      'quota.new_checks_per_hour': [10, null],
      'quota.body_bytes_per_check': [1000, null],
    },
  }
  const window = {
    from: [soon],
    to: [new Date(Date.now() + 2 * hourMs).toISOString()],
    tz,
    checks: [[check], [check, parent]],
  }
  return own[operationId] ?? { ...window, cron: ['0 3 * * SUN'] }
}

function bodiesOf(operationId: string, schema: Schema, world: World): unknown[] {
  const values = realValues(operationId, world)
  const real: Real = (field) => values[field]
  if (operationId === 'applyDefinitions') return valuesOf(schema, real).map((body) => withUuid(body, world))
  if (!/Maintenance$/.test(operationId)) return valuesOf(schema, real)
  // Either once or again and again.
  const { properties = {}, required = [] } = schema.allOf?.[0] ?? schema
  const { from, to, cron, duration, tz, ...others } = properties
  const kinds = [
    { properties: { ...others, from, to }, required: [...required, 'from', 'to'] },
    { properties: { ...others, cron, duration, tz }, required: [...required, 'cron', 'duration'] },
  ]
  return kinds.flatMap((kind) => valuesOf({ type: 'object', ...kind } as Schema, real))
}

/** A document must say which check it means; no two may mean the same. */
function withUuid(body: unknown, { known }: World): unknown {
  const { checks, ...how } = body as { checks: object[] }
  const [uuid] = known('/checks/{id}', 'id')
  return { ...how, checks: checks.slice(0, 1).map((check) => ({ ...check, uuid })) }
}

/** Fields that are written in other words than they are read, or give way to another. */
const otherwise = [
  'channels',
  'unique',
  'subject',
  'subject_fail',
  'from',
  'to',
  'paused_until',
  'tz',
  'settings',
  'alerts',
  'checks',
  'quota',
]

function unlikeSent(sent: unknown, answer: Record<string, unknown>): string[] {
  const { rejected, results } = answer as { rejected?: unknown[]; results?: { action: string }[] }
  if (rejected && rejected.length > 0) return ['rejects entries']
  if (results?.some(({ action }) => action === 'failed')) return ['refuses documents']
  if (sent === null || typeof sent !== 'object' || Array.isArray(sent)) return []
  return Object.entries(sent)
    .filter(
      ([field, value]) =>
        field in answer && !otherwise.includes(field) && value !== null && !isDeepStrictEqual(answer[field], value),
    )
    .map(([field]) => `${field} reads back otherwise`)
}
