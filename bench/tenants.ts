// Tenants of the service that a bench has started, with channels and checks of their own, and the calls that feed them.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Server, startService } from './service.ts'

export type Tenant = { key: string; checks: string[] }

/** For calls to no tenant; it goes as `authorization: Bearer` like every tenant's key. */
export const adminToken = randomBytes(32).toString('hex')

/** The service as shipped, on an embedded database of its own, to which tenants can be added. */
export const startForTenants = (scratch: string, env: Record<string, string> = {}): Promise<Server> =>
  startService(scratch, { ADMIN_TOKEN: adminToken, ...env })

/** A project with a webhook for each of `urls`, and `count` checks that alert through all of them. */
export async function createTenant(service: Server, urls: readonly string[], count: number): Promise<Tenant> {
  const project = await post(service, '/api/v3/projects/', adminToken, { name: 'tenant' })
  const key = String(project.api_key)
  for (const url of urls)
    await post(service, '/api/v3/channels/', key, { kind: 'webhook', name: 'hook', settings: { url } })
  const checks = Array.from({ length: count }, (_, n) => ({ name: `job ${n}`, timeout: 86_400, channels: '*' }))
  const { results } = (await post(service, '/api/v3/definitions/', key, { checks })) as { results: { uuid: string }[] }
  return { key, checks: results.map(({ uuid }) => uuid) }
}

export type Beat = { check: string; kind: 'success' | 'fail' }

/** Sends heartbeats in one request. Throws if any of them was not accepted. */
export async function beat(service: Server, { key }: Tenant, beats: readonly Beat[]): Promise<void> {
  const { accepted } = await post(service, '/api/v3/heartbeats/', key, beats)
  if (accepted !== beats.length) throw new Error(`${beats.length} heartbeats were sent and ${accepted} accepted`)
}

export async function post(
  { url }: Server,
  path: string,
  key: string,
  body: unknown = {},
): Promise<Record<string, unknown>> {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as Record<string, unknown>
}

/** Until nothing is owed to a tenant any more. */
export async function untilAllTold({ url }: Server, { key }: Tenant, limitMs: number): Promise<void> {
  await until('all to be told', limitMs, async () => {
    for (const status of ['pending', 'retrying']) {
      const answer = await fetch(`${url}/api/v3/deliveries/?status=${status}&limit=1`, {
        headers: { 'x-api-key': key },
      })
      const { deliveries } = (await answer.json()) as { deliveries: unknown[] }
      if (deliveries.length > 0) return false
    }
    return true
  })
}

export async function until(what: string, limitMs: number, probe: () => boolean | Promise<boolean>): Promise<void> {
  for (const giveUp = performance.now() + limitMs; performance.now() < giveUp; await sleep(50))
    if (await probe()) return
  throw new Error(`waited ${limitMs / 1000} s for ${what}`)
}
