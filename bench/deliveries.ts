// Alerts by the service as shipped to ten destinations of ten tenants, all on this machine, with and without one of them hanging:
// node bench/deliveries.ts [--rate 1000] [--seconds 40] [--pairs 2]. Checks fail and recover, `rate` of them a second; the two take turns
// within one run. Prints figures; it never passes or fails.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Arrival, type FarSide, startFarSide } from './far-side.ts'
import {
  bench,
  percentile,
  readNumbers,
  type Server,
  serviceEnvironment,
  startServer,
  waitUntilReady,
} from './service.ts'

type Tenant = { key: string; far: FarSide; checks: string[]; flips: number }
type Phase = { offered: number; late: number; healthy: Told; hanging: Told }
/** Of what was offered within a phase: what arrived, within how many seconds from its beginning, and how long after the flip. */
type Told = { changes: number; seconds: number; latenciesMs: number[] }

const tenantCount = 10
const batchSize = 10
/** More within an hour would be flapping, and no more told. */
const outagesMax = 9
const settleTimeoutMs = 180_000
const adminToken = randomBytes(32).toString('hex')
const options = readNumbers({ rate: 1000, seconds: 40, pairs: 2 })
const outagesEach = outagesMax - 1
const checksEach = Math.ceil((options.rate * options.seconds * (2 * options.pairs + 1)) / tenantCount / 2 / outagesEach)

await bench(measure)
process.exit()

async function measure(scratch: string): Promise<void> {
  const { rate, seconds, pairs } = options
  const environment = { ...serviceEnvironment(join(scratch, 'data')), ADMIN_TOKEN: adminToken }
  const service = await startServer('src/server.ts', environment)
  await waitUntilReady(service)
  const tenants: Tenant[] = []
  for (let n = 1; n <= tenantCount; n++) tenants.push(await createTenant(service, n))
  console.log(
    `service, its embedded PostgreSQL, load and destinations on the same cores\n${rate} alerts/s for ${seconds} s, ${pairs} times without and with one that hangs; ${tenantCount} tenants of ${checksEach} checks\n`,
  )
  console.log('              offered/s   told/s   p50 of the nine   p99 of the nine   longest   told of the tenth')
  await runPhase(service, tenants, 5)
  const found: { quiet: Phase; hanging: Phase }[] = []
  for (let pair = 1; pair <= pairs; pair++) {
    const quiet = await runPhase(service, tenants, seconds)
    printPhase('all answer', quiet, seconds)
    const tenth = tenants.at(-1) as Tenant
    tenth.far.hang()
    const hanging = await runPhase(service, tenants, seconds)
    printPhase('one hangs', hanging, seconds)
    tenth.far.answer()
    await settle(service, tenants)
    found.push({ quiet, hanging })
  }
  printResult(found)
}

async function createTenant(service: Server, n: number): Promise<Tenant> {
  const far = await startFarSide()
  const project = await post(
    service,
    '/api/v3/projects/',
    { authorization: `Bearer ${adminToken}` },
    { name: `tenant ${n}` },
  )
  const key = String(project.api_key)
  const channel = { kind: 'webhook', name: 'hook', settings: { url: far.url } }
  await post(service, '/api/v3/channels/', { 'x-api-key': key }, channel)
  const checks = Array.from({ length: checksEach }, (_, index) => ({
    name: `job ${index}`,
    timeout: 86_400,
    channels: '*',
  }))
  const { results } = (await post(service, '/api/v3/definitions/', { 'x-api-key': key }, { checks })) as {
    results: { uuid: string }[]
  }
  return { key, far, checks: results.map(({ uuid }) => uuid), flips: 0 }
}

/** Offers alerts for so long, whatever becomes of them, then waits until the nine have theirs. */
async function runPhase(service: Server, tenants: readonly Tenant[], seconds: number): Promise<Phase> {
  const start = performance.now()
  const startedAt = Date.now()
  const before = tenants.map(({ far }) => far.arrivals.length)
  const batches = Math.round((options.rate * seconds) / batchSize)
  const under: Promise<unknown>[] = []
  let late = 0
  for (let n = 0; n < batches; n++) {
    const due = start + (n * batchSize * 1000) / options.rate
    const wait = due - performance.now()
    if (wait > 0) await sleep(wait)
    late = Math.max(late, performance.now() - due)
    under.push(flip(service, tenants[n % tenants.length] as Tenant))
  }
  await Promise.all(under)
  const offered = (batches * batchSize) / ((performance.now() - start) / 1000)
  const nine = tenants.slice(0, -1)
  const owed = nine.map(({ flips }) => flips)
  await until('the nine to be told', () => nine.every(({ far }, index) => far.told() >= (owed[index] as number)))
  const since = (tenant: Tenant) => tenant.far.arrivals.slice(before[tenants.indexOf(tenant)])
  return {
    offered,
    late,
    healthy: told(nine.flatMap(since), startedAt),
    hanging: told(since(tenants.at(-1) as Tenant), startedAt),
  }
}

/** Each check fails and recovers in turn, in the order in which they were made. */
async function flip(service: Server, tenant: Tenant): Promise<void> {
  const beats = Array.from({ length: batchSize }, () => {
    const at = tenant.flips++
    const isDown = Math.floor(at / tenant.checks.length) % 2 === 0
    return { check: tenant.checks[at % tenant.checks.length], kind: isDown ? 'fail' : 'success' }
  })
  const { accepted } = await post(service, '/api/v3/heartbeats/', { 'x-api-key': tenant.key }, beats)
  if (accepted !== batchSize) throw new Error(`${batchSize} heartbeats were sent and ${accepted} accepted`)
}

/** Until nothing is owed to anybody any more; the tenth's circuit breaker is closed by hand. */
async function settle(service: Server, tenants: readonly Tenant[]): Promise<void> {
  await post(service, '/api/v1/circuit-breakers/reset-all', { authorization: `Bearer ${adminToken}` })
  const { key } = tenants.at(-1) as Tenant
  await until('the tenth to be told', async () => {
    for (const status of ['pending', 'retrying']) {
      const answer = await fetch(`${service.url}/api/v3/deliveries/?status=${status}&limit=1`, {
        headers: { 'x-api-key': key },
      })
      const { deliveries } = (await answer.json()) as { deliveries: unknown[] }
      if (deliveries.length > 0) return false
    }
    return true
  })
}

function told(arrivals: readonly Arrival[], startedAt: number): Told {
  const last = arrivals.reduce((latest, { at }) => Math.max(latest, at), startedAt)
  const latenciesMs = arrivals.map(({ at, flippedAt }) => at - flippedAt)
  const changes = arrivals.reduce((sum, arrival) => sum + arrival.changes, 0)
  return { changes, seconds: (last - startedAt) / 1000, latenciesMs }
}

function printPhase(name: string, { offered, late, healthy, hanging }: Phase, seconds: number): void {
  const cells = [
    name.padEnd(12),
    offered.toFixed(0).padStart(10),
    ((healthy.changes + hanging.changes) / Math.max(seconds, healthy.seconds)).toFixed(0).padStart(8),
    `${quantile(healthy, 0.5)} ms`.padStart(17),
    `${quantile(healthy, 0.99)} ms`.padStart(17),
    `${quantile(healthy, 1)} ms`.padStart(9),
    String(hanging.changes).padStart(19),
  ]
  console.log(cells.join(' ') + (late > 1000 ? `   the load was up to ${(late / 1000).toFixed(1)} s late` : ''))
}

function printResult(found: readonly { quiet: Phase; hanging: Phase }[]): void {
  for (const share of [0.5, 0.99]) {
    const ratios = found.map(({ quiet, hanging }) => quantile(hanging.healthy, share) / quantile(quiet.healthy, share))
    const worst = Math.max(...ratios)
    console.log(
      `\np${share * 100} of the nine with one that hangs, against without: ${ratios.map((one) => one.toFixed(2)).join(', ')} (worst ${worst.toFixed(2)})`,
    )
  }
}

function quantile({ latenciesMs }: Told, share: number): number {
  return percentile(latenciesMs, share)
}

async function post(
  { url }: Server,
  path: string,
  headers: Record<string, string>,
  body: unknown = {},
): Promise<Record<string, unknown>> {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as Record<string, unknown>
}

async function until(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  for (const giveUp = performance.now() + settleTimeoutMs; performance.now() < giveUp; await sleep(50))
    if (await probe()) return
  throw new Error(`waited ${settleTimeoutMs / 1000} s for ${what}`)
}
