// A sender that is paused or loses its database between the destination's answer and its own record of it. The destination counts by key.

import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createFaultProxy } from '../../fault-proxy.ts'
import { call, eventually, keys } from '../../helper.ts'
import { patience, pause } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

const auth = { 'x-api-key': keys.api_key }
const leaseMs = patience(3000)
const checkCount = 6

/** Keeps every request until it may answer. */
async function createSlowSide(t: TestContext) {
  const counts = new Map<string, number>()
  const held = new Set<ServerResponse>()
  let answers = false
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const key = String(request.headers['idempotency-key'])
      counts.set(key, (counts.get(key) ?? 0) + 1)
      if (answers) return response.end()
      held.add(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    answer() {
      answers = true
      for (const response of held) response.end()
    },
  }
}

/** A service whose destination has all requests and has answered none. */
async function underWay(t: TestContext, env: Record<string, string>) {
  const far = await createSlowSide(t)
  const service = await startService(t, {
    env: {
      INGEST_MODE: 'consistent',
      FLATLINE__ALERTING__LEASE_MS: String(leaseMs),
      // A frozen sender must not take its own pause for a destination that does not answer.
      CIRCUIT_BREAKER_REQUEST_TIMEOUT_MS: String(10 * leaseMs),
      ...env,
    },
  })
  const channel = { kind: 'webhook', name: 'hook', settings: { url: far.url } }
  assert.equal((await call(service.url, 'POST', '/api/v3/channels/', channel, auth)).status, 201)
  const ids: string[] = []
  for (let n = 0; n < checkCount; n++) {
    const check = { name: `job ${n}`, channels: '*', timeout: 86_400 }
    ids.push(String((await call(service.url, 'POST', '/api/v3/checks/', check, auth)).json().uuid))
  }
  for (const id of ids) await call(service.url, 'GET', `/ping/${id}/fail`, undefined, {})
  const begun = Math.min(checkCount, 4)
  await eventually('the requests', () => far.counts.size >= begun)
  return { far, service }
}

async function allSent(url: string): Promise<boolean> {
  const [row] = await sql<{ n: number }>(url, "SELECT count(*)::int AS n FROM deliveries WHERE status = 'sent'")
  return row?.n === checkCount
}

const once = (counts: Map<string, number>) => [...counts.values()].every((count) => count === 1)

test('a sender that freezes past its lease while it is answered sends nothing twice', async (t) => {
  const databaseUrl = await createDatabase(t)
  const { far, service } = await underWay(t, { DATABASE_URL: databaseUrl })
  await freeze(service, 2 * leaseMs, () => far.answer())
  await eventually('everything to be recorded as sent', () => allSent(databaseUrl))
  assert.equal(far.counts.size, checkCount)
  assert.ok(once(far.counts), 'each key came once')
})

test('a sender that loses its database while it is answered records the answer when it is back', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const { far } = await underWay(t, { DATABASE_URL: proxy.url })
  await proxy.set('reset')
  far.answer()
  await pause(2 * leaseMs)
  await proxy.set('pass')
  await eventually('everything to be recorded as sent', () => allSent(databaseUrl))
  assert.equal(far.counts.size, checkCount)
  assert.ok(once(far.counts), 'each key came once')
})

test('a sender that freezes before its request sends nothing later; the other replica sends', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const env = { INGEST_MODE: 'consistent', FLATLINE__ALERTING__LEASE_MS: String(leaseMs) }
  const sender = await startService(t, { env: { ...env, DATABASE_URL: proxy.url } })
  const far = await createSlowSide(t)
  far.answer()
  const channel = { kind: 'webhook', name: 'hook', settings: { url: far.url } }
  await call(sender.url, 'POST', '/api/v3/channels/', channel, auth)
  const { uuid } = (await call(sender.url, 'POST', '/api/v3/checks/', { name: 'job', channels: '*' }, auth)).json()
  // The claim is in the database, and its owner has not heard of it: its first lease is all that it has.
  const cut = proxy.cutAt(['notifications_claim'], 'heard')
  await call(sender.url, 'GET', `/ping/${uuid}/fail`, undefined, {})
  await cut
  sender.child.kill('SIGSTOP')
  const other = await startService(t, { env: { ...env, DATABASE_URL: databaseUrl } })
  await eventually('the other to tell', () => far.counts.size === 1)
  sender.child.kill('SIGCONT')
  await call(other.url, 'GET', `/ping/${uuid}`, undefined, {})
  await eventually('the recovery', () => far.counts.size === 2)
  assert.ok(once(far.counts), 'each key came once')
})

async function freeze({ child }: Service, ms: number, meanwhile: () => void): Promise<void> {
  child.kill('SIGSTOP')
  meanwhile()
  await pause(ms)
  child.kill('SIGCONT')
}
