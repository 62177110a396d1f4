// The top of the hour: every check sends its ping within the same second, in no order: node bench/spike.ts [--pings 10000]
// [--connections 500] [--rounds 3]. The target is that all are answered within two seconds and none refused. Prints figures; it never
// passes or fails.

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { bench, countPings, createChecks, percentile, readNumbers, type Server, startService } from './service.ts'

const { pings, connections, rounds } = readNumbers({ pings: 10_000, connections: 500, rounds: 3 })
const within = 1000

await bench(async (scratch) => {
  const service = await startService(scratch)
  const paths = await createChecks(service.url)
  console.log(`${pings} pings within one second over ${connections} connections, ${paths.length} checks`)
  await spike(service, paths)
  for (let round = 1; round <= rounds; round++) {
    const before = await countPings(service)
    const { answered, refused, failed, latenciesMs, lastMs } = await spike(service, paths)
    const stored = (await countPings(service)) - before
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => percentile(latenciesMs, share).toFixed(0))
    console.log(
      `round ${round}: answered ${answered}, refused ${refused}, failed ${failed}, recorded ${stored}; ` +
        `p50 ${p50} ms, p99 ${p99} ms, longest ${most} ms, the last ${lastMs.toFixed(0)} ms after the first`,
    )
    await sleep(1000)
  }
})

/** Every latency counts from the moment at which its ping was due, so that a client which falls behind hides nothing. */
async function spike({ url }: Server, paths: readonly string[]) {
  const pool = new Pool(url, { connections, pipelining: 1 })
  const due = Array.from({ length: pings }, () => Math.random() * within).sort((a, b) => a - b)
  const latenciesMs: number[] = []
  const counts = { answered: 0, refused: 0, failed: 0 }
  const began = performance.now()
  const send = async (at: number, path: string) => {
    try {
      const { statusCode, body } = await pool.request({ path, method: 'GET' })
      await body.dump()
      if (statusCode === 200) counts.answered++
      else counts.refused++
    } catch {
      counts.failed++
    }
    latenciesMs.push(performance.now() - began - at)
  }
  const sent: Promise<void>[] = []
  for (const [i, at] of due.entries()) {
    const early = at - (performance.now() - began)
    if (early > 1) await sleep(early)
    sent.push(send(at, paths[i % paths.length] as string))
  }
  await Promise.all(sent)
  const lastMs = performance.now() - began
  await pool.close()
  return { ...counts, latenciesMs, lastMs }
}
