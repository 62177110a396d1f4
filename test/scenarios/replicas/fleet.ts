// Three services on one PostgreSQL behind HAProxy, and a client that never stops: a deployment as its users see it.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { call, eventually, keys } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { type Service, spawnService } from '../service.ts'
import { type Balancer, favour, startBalancer } from './balancer.ts'
import type { ClientOptions, Progress, Report } from './rolling-client.ts'

/** The replicas, and places in the balancer for as many again. */
export const blue = ['a', 'b', 'c'] as const
export const green = ['d', 'e', 'f'] as const
type Name = (typeof blue | typeof green)[number]

export type Fleet = {
  balancer: Balancer
  /** The one that runs at this place, or ran last. */
  service: (name: Name) => Service
  /** Starts one at a place that is free, of the version whose sources lie at `root` if that is given, and shows it to the balancer. */
  start: (name: Name, root?: string) => Promise<void>
  /** Ends one with SIGTERM, which must be an orderly end. */
  stop: (name: Name) => Promise<void>
  /** Stops one, starts another in its place, and waits until it gets requests. */
  replace: (name: Name, root?: string) => Promise<void>
}

const shared = {
  // As on Kubernetes: DATA_DIR goes with the process, and what was acknowledged must not.
  INGEST_MODE: 'consistent',
  FLATLINE__DATABASE__POOL_MAX: '6',
}

/** The balancer considers the server at this port down. */
const nowhere = 1

export async function startFleet(t: TestContext, env: Record<string, string>): Promise<Fleet> {
  const services = new Map<Name, Service>()
  async function launch(root?: string): Promise<Service> {
    const started = await spawnService(t, { ...shared, ...env }, { root })
    favour(started.child.pid)
    const { url } = await started.event('server.listening')
    started.url = String(url)
    return started
  }
  for (const [index, service] of (await Promise.all(blue.map(() => launch()))).entries()) {
    services.set(blue[index] as Name, service)
  }
  function service(name: Name): Service {
    const found = services.get(name)
    assert.ok(found, `nothing has run at ${name}`)
    return found
  }
  for (const name of blue) await service(name).event('server.ready')
  const places = [...blue, ...green].map((name) => [name, services.has(name) ? portOf(service(name)) : nowhere])
  const balancer = await startBalancer(t, Object.fromEntries(places))
  for (const name of green) await balancer.admit(name, 'drain')
  for (const name of blue) await balancer.waitFor(name, 'UP')

  const fleet: Fleet = {
    balancer,
    service,
    async start(name, root) {
      services.set(name, await launch(root))
      await balancer.point(name, portOf(service(name)))
    },
    async stop(name) {
      assert.equal(await service(name).stop(), 0, service(name).output())
    },
    async replace(name, root) {
      await fleet.stop(name)
      await fleet.start(name, root)
      await balancer.waitFor(name, 'UP')
    },
  }
  return fleet
}

function portOf({ url }: Service): number {
  return Number(new URL(url).port)
}

/** Ids of new checks that stay up for the length of any test. */
export async function createChecks({ service }: Fleet, count: number): Promise<string[]> {
  const wanted = { timeout: 86_400, grace: 3600 }
  const made = await Promise.all(
    Array.from({ length: count }, () =>
      call(service('a').url, 'POST', '/api/v3/checks/', wanted, { 'x-api-key': keys.api_key }),
    ),
  )
  return made.map((answer) => String(answer.json().uuid))
}

export type Load = {
  progress: () => Progress
  /** Stops sending, waits for every answer, and returns the results. */
  stop: () => Promise<Report>
}

/** A client in a process of its own, once its first requests are answered. */
export async function startLoad(t: TestContext, options: Omit<ClientOptions, 'apiKey'>): Promise<Load> {
  const settings: ClientOptions = { ...options, apiKey: keys.api_key }
  const child = fork(join(import.meta.dirname, 'rolling-client.ts'), [JSON.stringify(settings)], { execArgv: [] })
  favour(child.pid)
  let progress: Progress = { sent: 0, answered: 0 }
  const { promise: report, resolve, reject } = Promise.withResolvers<Report>()
  report.catch(() => undefined)
  child.on('message', (message: { progress?: Progress; report?: Report }) => {
    if (message.progress) progress = message.progress
    if (message.report) resolve(message.report)
  })
  child.once('exit', (code) => reject(new Error(`the client ended with ${code}`)))
  t.after(() => child.kill('SIGKILL'))
  await eventually('answers to the client', () => progress.answered > 50)
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
     FROM heartbeats LEFT JOIN heartbeat_bodies USING (check_id, received_at, id) GROUP BY rid`,
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
  const checks = await sql<{ name: string }>(databaseUrl, "SELECT name FROM checks WHERE name <> ''")
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
