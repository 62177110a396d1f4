// Measures the alerts of one tenant while many destinations of another hang, with the service as shipped, on one
// machine: node bench/hanging.ts [--destinations 120] [--outages 20] [--seconds 60]. The first tenant has a failure and
// a recovery per second, first alone, then while all destinations of the other hang with `outages` alerts waiting for
// each. Prints figures; it never passes or fails.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FarSide, startFarSide } from './far-side.ts'
import {
  bench,
  percentile,
  readNumbers,
  type Server,
  serviceEnvironment,
  startServer,
  waitUntilReady,
} from './service.ts'

type Tenant = { key: string; checks: string[] }

const adminToken = randomBytes(32).toString('hex')
const { destinations, outages, seconds } = readNumbers({ destinations: 120, outages: 20, seconds: 60 })
const pauseMs = 500
const lateMs = 180_000
const hour = 3600

await bench(measure)
process.exit()

async function measure(scratch: string): Promise<void> {
  const environment = { ...serviceEnvironment(join(scratch, 'data')), ADMIN_TOKEN: adminToken }
  const service = await startServer('src/server.ts', environment)
  await waitUntilReady(service)
  const [far, hanging] = await Promise.all([startFarSide(), startFarSide()])
  hanging.hang()
  const one = await createTenant(service, [far.url], Math.ceil((4 * seconds) / 8))
  const other = await createTenant(
    service,
    Array.from({ length: destinations }, (_, n) => `${hanging.url}${n}`),
    outages,
  )
  console.log('                     told of   p50 (ms)   p99 (ms)   longest (ms)')
  await observe(service, one, far, 3)
  print('alone', await observe(service, one, far, seconds))
  await post(
    service,
    '/api/v3/heartbeats/',
    other.key,
    other.checks.map((check) => ({ check, kind: 'fail' })),
  )
  print(`${destinations} hang`, await observe(service, one, far, seconds))
}

/** Each check alerts all of the destinations. */
async function createTenant(service: Server, urls: readonly string[], count: number): Promise<Tenant> {
  const project = await post(service, '/api/v3/projects/', `Bearer ${adminToken}`, { name: 'tenant' })
  const key = String(project.api_key)
  for (const url of urls)
    await post(service, '/api/v3/channels/', key, { kind: 'webhook', name: 'hook', settings: { url } })
  const checks = Array.from({ length: count }, (_, n) => ({ name: `job ${n}`, timeout: 24 * hour, channels: '*' }))
  const { results } = (await post(service, '/api/v3/definitions/', key, { checks })) as { results: { uuid: string }[] }
  return { key, checks: results.map(({ uuid }) => uuid) }
}

let beats = 0

/** How long after the change each message came. */
async function observe(service: Server, { key, checks }: Tenant, far: FarSide, forS: number): Promise<number[]> {
  const before = far.arrivals.length
  let owed = far.told()
  for (const end = performance.now() + forS * 1000; performance.now() < end; await sleep(pauseMs)) {
    const check = checks[Math.floor(beats / 2) % checks.length]
    await post(service, '/api/v3/heartbeats/', key, [{ check, kind: beats++ % 2 === 0 ? 'fail' : 'success' }])
    owed++
  }
  for (const end = performance.now() + lateMs; performance.now() < end && far.told() < owed; ) await sleep(50)
  if (far.told() < owed) console.log(`${owed - far.told()} of ${owed} did not arrive within ${lateMs / 1000} s`)
  return far.arrivals.slice(before).map(({ at, flippedAt }) => at - flippedAt)
}

function print(name: string, latenciesMs: number[]): void {
  const cells = [
    name.padEnd(18),
    String(latenciesMs.length).padStart(9),
    ...[0.5, 0.99, 1].map((share, index) => String(percentile(latenciesMs, share)).padStart(index === 2 ? 14 : 10)),
  ]
  console.log(cells.join(' '))
}

async function post({ url }: Server, path: string, key: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = {
    authorization: key.startsWith('Bearer ') ? key : `Bearer ${key}`,
    'content-type': 'application/json',
  }
  const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as Record<string, unknown>
}
