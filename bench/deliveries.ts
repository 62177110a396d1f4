// Alerts by the service as shipped to ten destinations of ten tenants, all on this machine, with and without one of them hanging:
// node bench/deliveries.ts [--rate 1000] [--seconds 40] [--pairs 2]. Checks fail and recover, `rate` of them a second; the two take turns
// within one run. Prints figures; it never passes or fails.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Arrival, type FakeDestination, startFakeDestination } from './fake-destination.ts'
import { bench, percentile, readNumbers, type Server } from './service.ts'
import {
  adminToken,
  type Beat,
  beat,
  createTenant,
  post,
  startForTenants,
  type Tenant,
  until,
  untilAllTold,
} from './tenants.ts'

type Watched = Tenant & { far: FakeDestination; flips: number }
type Phase = { offered: number; late: number; healthy: Told; hanging: Told }
/** Of what was offered within a phase: what arrived, within how many seconds from its beginning, and how long after the flip. */
type Told = { changes: number; seconds: number; latenciesMs: number[] }

const tenantCount = 10
const batchSize = 10
/** With more within an hour the check would be flapping, and its alerts suppressed. */
const outagesMax = 9
const settleTimeoutMs = 180_000
const options = readNumbers({ rate: 1000, seconds: 40, pairs: 2 })
const outagesEach = outagesMax - 1
const checksEach = Math.ceil((options.rate * options.seconds * (2 * options.pairs + 1)) / tenantCount / 2 / outagesEach)

await bench(measure)
process.exit()

async function measure(scratch: string): Promise<void> {
  const { rate, seconds, pairs } = options
  const service = await startForTenants(scratch)
  const tenants: Watched[] = []
  for (let n = 1; n <= tenantCount; n++) {
    const far = await startFakeDestination()
    tenants.push({ ...(await createTenant(service, [far.url], checksEach)), far, flips: 0 })
  }
  console.log(
    `service, its embedded PostgreSQL, load and destinations on the same cores\n${rate} alerts/s for ${seconds} s, ${pairs} times without and with one that hangs; ${tenantCount} tenants of ${checksEach} checks\n`,
  )
  console.log('              offered/s   told/s   p50 of the nine   p99 of the nine   longest   told of the tenth')
  await runPhase(service, tenants, 5)
  const found: { quiet: Phase; hanging: Phase }[] = []
  for (let pair = 1; pair <= pairs; pair++) {
    const quiet = await runPhase(service, tenants, seconds)
    printPhase('all answer', quiet, seconds)
    const tenth = tenants.at(-1) as Watched
    tenth.far.hang()
    const hanging = await runPhase(service, tenants, seconds)
    printPhase('one hangs', hanging, seconds)
    tenth.far.answer()
    await settle(service, tenants)
    found.push({ quiet, hanging })
  }
  printResult(found)
}

/** Offers alerts for so long, whatever becomes of them, then waits until the nine have theirs. */
async function runPhase(service: Server, tenants: readonly Watched[], seconds: number): Promise<Phase> {
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
    under.push(flip(service, tenants[n % tenants.length] as Watched))
  }
  await Promise.all(under)
  const offered = (batches * batchSize) / ((performance.now() - start) / 1000)
  const nine = tenants.slice(0, -1)
  const owed = nine.map(({ flips }) => flips)
  await until('the nine to be told', settleTimeoutMs, () =>
    nine.every(({ far }, index) => far.told() >= (owed[index] as number)),
  )
  const since = (tenant: Watched) => tenant.far.arrivals.slice(before[tenants.indexOf(tenant)])
  return {
    offered,
    late,
    healthy: told(nine.flatMap(since), startedAt),
    hanging: told(since(tenants.at(-1) as Watched), startedAt),
  }
}

/** Each check fails and recovers in turn, in the order in which they were made. */
async function flip(service: Server, tenant: Watched): Promise<void> {
  const beats = Array.from({ length: batchSize }, (): Beat => {
    const at = tenant.flips++
    const isDown = Math.floor(at / tenant.checks.length) % 2 === 0
    return { check: tenant.checks[at % tenant.checks.length] as string, kind: isDown ? 'fail' : 'success' }
  })
  await beat(service, tenant, beats)
}

/** Until nothing is owed to anybody any more; the tenth's circuit breaker is closed by hand. */
async function settle(service: Server, tenants: readonly Watched[]): Promise<void> {
  await post(service, '/api/v1/circuit-breakers/reset-all', adminToken)
  await untilAllTold(service, tenants.at(-1) as Watched, settleTimeoutMs)
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
