// The database goes away under load, heartbeats go to the spool, and the database comes back: node bench/replay.ts [--seconds 10]
// [--connections 64]. How fast heartbeats are spooled, and how fast they are moved on. Prints figures; it never passes or fails.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from './postgres.ts'
import {
  bench,
  countPings,
  createChecks,
  metric,
  type Run,
  readNumbers,
  requireWrk,
  runWrk,
  startService,
} from './service.ts'

const { seconds, connections } = readNumbers({ seconds: 10, connections: 64 })
const pollMs = 50

requireWrk()
await bench(async (scratch) => {
  let postgres = await startPostgres(scratch)
  try {
    const service = await startService(scratch, { DATABASE_URL: postgres.url, INGEST_MODE: 'available' })
    const list = join(scratch, 'paths')
    await writeFile(list, `${(await createChecks(service.url)).join('\n')}\n`)
    const load = (forSeconds: number) => runWrk(service, forSeconds, connections, list)
    const runs = [report('to the database', await load(seconds))]

    await postgres.stop()
    // What is on its way when the database goes is diverted; a run of its own, because its first second is no measure.
    runs.push(await load(2))
    runs.push(report('to the spool', await load(seconds)))
    const backlog = await metric(service, 'spool_records')

    postgres = await startPostgres(scratch)
    const began = performance.now()
    while ((await metric(service, 'spool_records')) === backlog) await sleep(pollMs)
    const first = performance.now()
    while ((await metric(service, 'spool_records')) > 0) await sleep(pollMs)
    const took = (performance.now() - first) / 1000
    console.log(`replay began ${(first - began).toFixed(0)} ms after the database was back`)
    console.log(`${backlog} heartbeats in ${took.toFixed(1)} s: ${(backlog / took).toFixed(0)}/s`)

    const acknowledged = runs.reduce((sum, run) => sum + run.answered - run.refused, 0)
    const stored = await countPings(service)
    const inFlight = runs.length * connections
    const verdict =
      stored < acknowledged || stored > acknowledged + inFlight ? 'THAT IS WRONG' : 'none lost, none doubled'
    console.log(`acknowledged ${acknowledged}, recorded ${stored}, at most ${inFlight} in flight: ${verdict}`)
  } finally {
    await postgres.stop()
  }
})

function report(where: string, run: Run): Run {
  const rate = ((run.answered - run.refused) / run.seconds).toFixed(0)
  console.log(`${where}: ${rate} heartbeats/s, ${run.refused} refused, p50 ${run.p50Ms} ms, p99 ${run.p99Ms} ms`)
  return run
}
