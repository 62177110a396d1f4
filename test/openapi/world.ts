// A running service, and the keys and ids that a caller of every call in the document needs.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { adminToken, build, createReceiver, keys, type Running } from '../helper.ts'
import { type Document, documentOf, type Operation } from './described.ts'

/** Limits have tests of their own; here each request must reach its handler. */
const unlimited = {
  FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '0',
  FLATLINE__LIMITS__MAX_EVENT_LOOP_UTILIZATION: '0',
  FLATLINE__LIMITS__CALLS_PER_MINUTE: '0',
  FLATLINE__LIMITS__AUTH_FAILURES_PER_MINUTE: '0',
  FLATLINE__ADMIN__CALLS_PER_MINUTE: '0',
}
export const admin = { authorization: `Bearer ${adminToken}` }

export type World = {
  running: Running
  document: Document
  /** Values of a parameter of this path that lead somewhere. */
  known: (path: string, name: string) => string[]
  /** Where channels lead: to this machine and to nowhere else. */
  receiver: string
  /** What has come there. */
  received: () => string[]
  /** Of the project whose keys a call may change. */
  otherKey: string
}

export async function prepare(t: TestContext): Promise<World> {
  const running = await build(t, unlimited)
  const { call } = running
  const { url: receiver, received } = await createReceiver(t)
  const make = async (path: string, body: object, headers?: Record<string, string>) => {
    const answer = await call('POST', path, body, headers)
    assert.equal(answer.status, 201, answer.text)
    return answer.json()
  }
  const projects = [
    await make('/api/v3/projects/', { name: 'a' }, admin),
    await make('/api/v3/projects/', { name: 'b' }, admin),
  ]
  const channel = { kind: 'webhook', settings: { url: receiver } }
  const channels = [
    await make('/api/v3/channels/', { ...channel, name: 'hook' }),
    await make('/api/v3/channels/', { ...channel, name: 'second' }),
  ]
  const checks = [await make('/api/v3/checks/', { name: 'a' }), await make('/api/v3/checks/', { name: 'b' })]
  const window = { name: 'w', cron: '0 2 * * SUN', duration: 3600 }
  const maintenance = await make('/api/v3/maintenance/', window)
  const ids: [RegExp, string, unknown[]][] = [
    [/\/checks\/\{id}/, 'id', checks.map(({ uuid }) => uuid)],
    [/\/channels\/\{id}/, 'id', channels.map(({ id }) => id)],
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
    receiver,
    received: () => received.map(({ body }) => body),
    otherKey: String(projects[1]?.api_key),
  }
}

/** The key that may make the call; none for a call that needs none. */
export function keyFor(path: string, { security }: Operation, { otherKey }: World): Record<string, string> {
  const schemes = security.flatMap((one) => Object.keys(one))
  if (path === '/api/v3/keys/adopt/') return { 'x-api-key': otherKey }
  if (schemes.includes('apiKey')) return { 'x-api-key': keys.api_key }
  if (schemes.includes('adminToken')) return admin
  return schemes.includes('bearer') ? { authorization: `Bearer ${keys.api_key_readonly}` } : {}
}

/** Keys to call it with at random, the right one most often. */
export function credentialsOf(path: string, operation: Operation, world: World): Record<string, string>[] {
  const wrong: Record<string, string>[] = [{}, { 'x-api-key': 'not a key' }, { 'x-api-key': keys.api_key_readonly }]
  // Who may make these would end the process, or its silence.
  if (path === '/admin/shutdown' || path === '/admin/log-level') return wrong
  return [...Array(4).fill(keyFor(path, operation, world)), ...wrong]
}
