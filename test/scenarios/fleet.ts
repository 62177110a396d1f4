// Three services on one PostgreSQL behind HAProxy, and a client that never stops: what a deployment looks like from outside.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { call, eventually, keys } from '../helper.ts'
import { sql } from '../postgres.ts'
import { type Balancer, startBalancer } from './balancer.ts'
import type { ClientOptions, Progress, Report } from './rolling-client.ts'
import { type Service, startService } from './service.ts'

export type Name = 'a' | 'b' | 'c'
export const names: readonly Name[] = ['a', 'b', 'c']

export type Fleet = {
  balancer: Balancer
  services: Record<Name, Service>
  /** Ends one with SIGTERM, which must be an orderly end, and starts another in its place, of the version at `root` if one is given. */
  replace: (name: Name, root?: string) => Promise<void>
}

export async function startFleet(t: TestContext, env: Record<string, string>): Promise<Fleet> {
  const start = (root?: string) => startService(t, { env, ready: false, ...(root && { root }) })
  const [a, b, c] = await Promise.all([start(), start(), start()])
  const services = { a, b, c }
  for (const name of names) await services[name].event('server.ready', 60_000)
  const ports = Object.fromEntries(names.map((name) => [name, portOf(services[name])]))
  const balancer = await startBalancer(t, ports)
  for (const name of names) await balancer.waitFor(name, 'UP')
  return {
    balancer,
    services,
    async replace(name, root) {
      assert.equal(await services[name].stop(), 0, services[name].output())
      services[name] = await start(root)
      await balancer.point(name, portOf(services[name]))
      await balancer.waitFor(name, 'UP', 60_000)
    },
  }
}

function portOf({ url }: Service): number {
  return Number(new URL(url).port)
}

/** Ids of new checks that stay up for the length of any test. */
export async function createChecks({ services }: Fleet, count: number): Promise<string[]> {
  const wanted = { timeout: 86_400, grace: 3600 }
  const made = await Promise.all(
    Array.from({ length: count }, () =>
      call(services.a.url, 'POST', '/api/v3/checks/', wanted, { 'x-api-key': keys.api_key }),
    ),
  )
  return made.map((answer) => String(answer.json().uuid))
}

export type Load = {
  progress: () => Progress
  /** Stops sending, waits for every answer, and tells what became of it all. */
  stop: () => Promise<Report>
}

/** A client in a process of its own, once its first requests are answered. */
export async function startLoad(t: TestContext, options: Omit<ClientOptions, 'apiKey'>): Promise<Load> {
  const settings: ClientOptions = { ...options, apiKey: keys.api_key }
  const child = fork(join(import.meta.dirname, 'rolling-client.ts'), [JSON.stringify(settings)], { execArgv: [] })
  let progress: Progress = { sent: 0, answered: 0 }
  const { promise: report, resolve, reject } = Promise.withResolvers<Report>()
  report.catch(() => undefined)
  child.on('message', (message: { progress?: Progress; report?: Report }) => {
    if (message.progress) progress = message.progress
    if (message.report) resolve(message.report)
  })
  child.once('exit', (code) => reject(new Error(`the client ended with ${code}`)))
  t.after(() => child.kill('SIGKILL'))
  await eventually('answers to the client', () => progress.answered > 50, 20_000)
  return {
    progress: () => progress,
    stop() {
      child.send('stop')
      return report
    },
  }
}

/** Every acknowledged heartbeat is in the database, once, with its body; every check that was created is there, unless it was deleted. */
export async function assertKept(databaseUrl: string, reports: readonly Report[]): Promise<void> {
  const heartbeats = await sql<{ rid: string; times: string; body: string | null }>(
    databaseUrl,
    `SELECT rid, count(*) AS times, min(convert_from(body, 'UTF8')) AS body
     FROM heartbeats LEFT JOIN heartbeat_bodies USING (monitor_id, received_at, id) GROUP BY rid`,
  )
  const stored = new Map(heartbeats.map((row) => [row.rid, row]))
  const acknowledged = reports.flatMap((report) => report.acknowledged)
  assert.deepEqual(
    acknowledged.filter((rid) => stored.get(rid)?.times !== '1'),
    [],
    'each acknowledged heartbeat is there once',
  )
  assert.ok(
    heartbeats.every(({ rid, body }) => body === null || body === rid),
    'with the body that was sent',
  )
  const checks = await sql<{ name: string }>(databaseUrl, "SELECT name FROM monitors WHERE name <> ''")
  const deleted = new Set(reports.flatMap((report) => report.deleted))
  const created = reports.flatMap((report) => report.created)
  const present = new Set(checks.map(({ name }) => name))
  assert.equal(present.size, checks.length, 'no check was created twice')
  assert.deepEqual(
    created.filter((name) => present.has(name) === deleted.has(name)),
    [],
    'what was created is there, what was deleted is not',
  )
}

export function summary({ acknowledged, slow, calls, failures }: Report): string {
  return `${acknowledged.length} heartbeats acknowledged, ${slow} of them slow, ${calls} calls answered, ${failures.length} failures`
}
