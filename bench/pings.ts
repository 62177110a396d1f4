// Single pings over HTTP, each on disk before it is answered, with everything on as shipped, against a bare Fastify route in the
// same run: npm run bench -- [--pairs 5] [--seconds 6] [--connections 128]. A machine's speed drifts, so the two take turns
// and only the ratio of each pair means anything. Prints figures; it never passes or fails.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  bench,
  checkCount,
  countPings,
  createChecks,
  median,
  type Run,
  readNumbers,
  requireWrk,
  runWrk,
  type Server,
  startServer,
  startService,
} from './service.ts'

type Pair = { bare: Run; durable: Run }
type Options = { pairs: number; seconds: number; connections: number }

const warmUpSeconds = 3
const options = readNumbers({ pairs: 5, seconds: 6, connections: 128 })

requireWrk()
await bench((scratch) => measure(options, scratch))

async function measure(options: Options, scratch: string): Promise<void> {
  const bare = await startServer('bench/bare.ts', {})
  const service = await startService(scratch)
  const paths = await createChecks(service.url)
  const list = join(scratch, 'paths')
  await writeFile(list, `${paths.join('\n')}\n`)
  await describeRun(options, scratch)

  const load = (server: Server, seconds: number) => runWrk(server, seconds, options.connections, list)
  await load(bare, warmUpSeconds)
  const durableRuns = [await load(service, warmUpSeconds)]
  const pairs: Pair[] = []
  for (let i = 1; i <= options.pairs; i++) {
    const pair = { bare: await load(bare, options.seconds), durable: await load(service, options.seconds) }
    pairs.push(pair)
    durableRuns.push(pair.durable)
    printPair(i, pair)
  }
  printResult(pairs)
  await printStored(service, durableRuns, options.connections)
}

async function describeRun({ pairs, seconds, connections }: Options, scratch: string): Promise<void> {
  const version = (await readFile(join(scratch, 'data/postgres/PG_VERSION'), 'utf8')).trim()
  console.log(`embedded PostgreSQL ${version}, Node and wrk on the same cores`)
  console.log(`${pairs} pairs of ${seconds} s at ${connections} connections, ${checkCount} checks\n`)
  console.log('pair   bare req/s   durable req/s   ratio   bare p99   durable p50   durable p99')
}

function printPair(number: number, { bare, durable }: Pair): void {
  const cells = [
    String(number).padStart(4),
    perSecond(bare).toFixed(0).padStart(12),
    perSecond(durable).toFixed(0).padStart(15),
    ratio({ bare, durable }).toFixed(3).padStart(7),
    `${bare.p99Ms.toFixed(1)} ms`.padStart(10),
    `${durable.p50Ms.toFixed(1)} ms`.padStart(13),
    `${durable.p99Ms.toFixed(1)} ms`.padStart(13),
  ]
  const wrong = durable.refused + durable.failed + bare.refused + bare.failed
  console.log(cells.join(' ') + (wrong > 0 ? `   ${wrong} requests refused or failed` : ''))
}

function printResult(pairs: readonly Pair[]): void {
  const bare = median(pairs.map((pair) => perSecond(pair.bare)))
  const durable = median(pairs.map((pair) => perSecond(pair.durable)))
  console.log(`\nmedian: bare ${bare.toFixed(0)}, durable ${durable.toFixed(0)} requests/s`)
  console.log(`median ratio ${median(pairs.map(ratio)).toFixed(3)} (target: at least 0.35)`)
  console.log(`p99 ${median(pairs.map((pair) => pair.durable.p99Ms)).toFixed(1)} ms (target: at most 50 ms)`)
}

/** When wrk stops, up to one request per connection is recorded and its answer read by nobody. */
async function printStored(service: Server, runs: readonly Run[], connections: number): Promise<void> {
  await sleep(1000)
  const stored = await countPings(service)
  const acknowledged = runs.reduce((sum, run) => sum + run.answered - run.refused, 0)
  const inFlightMax = runs.length * connections
  const surplus = stored - acknowledged
  const verdict =
    surplus < 0
      ? `${-surplus} ACKNOWLEDGED HEARTBEATS ARE MISSING`
      : surplus > inFlightMax
        ? `${surplus} more than acknowledged, only ${inFlightMax} can have been in flight`
        : `every one acknowledged is there, and ${surplus} that were in flight when a run ended`
  console.log(`acknowledged ${acknowledged}, in the database ${stored}: ${verdict}`)
}

function perSecond({ answered, refused, seconds }: Run): number {
  return (answered - refused) / seconds
}

function ratio({ bare, durable }: Pair): number {
  return perSecond(durable) / perSecond(bare)
}
