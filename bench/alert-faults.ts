// How late alerts are, and how many are sent twice, while three replicas on this machine are paused and lose their
// connections to the database, at random and often at the same time: node bench/alert-faults.ts [--seconds 120]
// [--calm 20], where each mode of INGEST_MODE has `seconds` of faults. Prints figures; it never passes or fails.

import { randomBytes, randomInt } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createFaultProxy, type Fault, type FaultProxy } from '../test/fault-proxy.ts'
import { createScope, type Scope } from '../test/faults/scope.ts'
import { checksFor, createAlternation, latencyHeader, latencyRow } from './alternation.ts'
import { type Arrival, startFakeDestination } from './fake-destination.ts'
import { startPostgres } from './postgres.ts'
import { bench, readNumbers, type Server, stop } from './service.ts'
import { type Beat, createTenant, startForTenants, until, untilAllTold } from './tenants.ts'

type Replica = { service: Server; proxy: FaultProxy }
/** Times in which all replicas were broken, in epoch milliseconds; nobody can send anything then. */
type Outages = { broken: number; times: { from: number; to: number }[] }

const { seconds, calm } = readNumbers({ seconds: 120, calm: 20 })
const replicaCount = 3
const answerMs = 8000
const settleMs = 120_000
const breaks: readonly (Fault | 'pause')[] = ['refuse', 'blackhole', 'reset', 'pause']
/** Between two faults of a replica, and of one, at least and at most. */
const wellMs = [500, 8500] as const
const brokenMs = [200, 8200] as const

await bench(async (scratch) => {
  console.log(latencyHeader(''))
  for (const mode of ['consistent', 'available']) {
    const dir = join(scratch, mode)
    await mkdir(dir, { mode: 0o711 })
    const scope = createScope()
    const postgres = await startPostgres(dir)
    const replicas = await startReplicas(scope, dir, mode, postgres.url)
    await measure(mode, replicas)
    // The other mode has the machine for itself.
    await Promise.all(replicas.map(({ service }) => stop(service.child)))
    await scope.end()
    await postgres.stop()
  }
})
process.exit()

async function startReplicas(scope: Scope, dir: string, mode: string, databaseUrl: string): Promise<Replica[]> {
  const shared = { INGEST_MODE: mode, ENCRYPTION_KEY: randomBytes(32).toString('hex') }
  const replicas: Replica[] = []
  for (let n = 0; n < replicaCount; n++) {
    const proxy = await createFaultProxy(scope, databaseUrl)
    const own = join(dir, String(n))
    const service = await startForTenants(own, { ...shared, DATABASE_URL: proxy.url })
    replicas.push({ service, proxy })
  }
  return replicas
}

async function measure(mode: string, replicas: readonly Replica[]): Promise<void> {
  const [{ service }] = replicas as [Replica]
  const far = await startFakeDestination()
  const tenant = await createTenant(service, [far.url], checksFor(calm + seconds))
  const { run } = createAlternation({
    tenant,
    far,
    send: (beat) => sendThroughAny(replicas, beat),
    heard: async () => {
      await until('readiness', settleMs, async () => (await fetch(`${service.url}/health/ready`)).ok)
      await untilAllTold(service, tenant, settleMs)
    },
  })
  console.log(latencyRow(`${mode}, calm`, await run(calm)))
  const stop = new AbortController()
  const before = far.arrivals.length
  const outages: Outages = { broken: 0, times: [] }
  const breaking = sleep(seconds * 1000).then(() => stop.abort())
  const mended = Promise.all(replicas.map((replica) => breakAndMend(replica, outages, stop.signal)))
  // Faults end before the last message is waited for.
  const latenciesMs = await run(seconds)
  await Promise.all([breaking, mended])
  console.log(`${latencyRow(`${mode}, faults`, latenciesMs)}   ${far.repeated()} sent again after their answer`)
  const ownMs = far.arrivals.slice(before).map((arrival) => arrival.at - arrival.flippedAt - overlap(arrival, outages))
  console.log(latencyRow('  while one could send', ownMs))
}

function overlap({ flippedAt, at }: Arrival, { times }: Outages): number {
  return times.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(at, to) - Math.max(flippedAt, from)), 0)
}

/** Retries at a random one each time, until it answers that the heartbeat is stored. */
async function sendThroughAny(replicas: readonly Replica[], { check, kind }: Beat): Promise<void> {
  for (;;) {
    const { service } = replicas[randomInt(replicas.length)] as Replica
    const address = `${service.url}/ping/${check}${kind === 'fail' ? '/fail' : ''}`
    const answer = await fetch(address, { signal: AbortSignal.timeout(answerMs) }).catch(() => null)
    await answer?.text().catch(() => undefined)
    if (answer?.status === 200) return
    await sleep(50)
  }
}

async function breakAndMend(replica: Replica, outages: Outages, stop: AbortSignal): Promise<void> {
  const { child } = replica.service
  const { proxy } = replica
  const wait = (ms: readonly [number, number]) =>
    sleep(randomInt(...ms), undefined, { signal: stop }).catch(() => undefined)
  while (!stop.aborted) {
    await wait(wellMs)
    const fault = breaks[randomInt(breaks.length)] as (typeof breaks)[number]
    if (fault === 'pause') child.kill('SIGSTOP')
    else await proxy.set(fault)
    if (++outages.broken === replicaCount) outages.times.push({ from: Date.now(), to: Number.POSITIVE_INFINITY })
    await wait(brokenMs)
    child.kill('SIGCONT')
    await proxy.set('pass')
    const last = outages.times.at(-1)
    if (outages.broken-- === replicaCount && last) last.to = Date.now()
  }
}
