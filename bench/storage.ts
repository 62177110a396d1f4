// What a heartbeat, its body and a check take on disk and in the write-ahead log, with all indexes, through the service as shipped:
// node bench/storage.ts [--heartbeats 100000] [--bodies 20000]. Prints figures; it never passes or fails.

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { withDatabase } from './postgres.ts'
import { bench, checkCount, createChecks, readNumbers, requireWrk, runWrk, type Server } from './service.ts'

const { heartbeats, bodies } = readNumbers({ heartbeats: 100_000, bodies: 20_000 })
const bodyBytes = 1000
const clients = 32
const samplesADay = 5760

requireWrk()
let client: pg.Client
await bench((scratch) =>
  withDatabase(scratch, (service, asked) => {
    client = asked
    return measure(scratch, service)
  }),
)

async function measure(scratch: string, service: Server): Promise<void> {
  const before = await size('checks')
  const paths = await createChecks(service.url)
  print('a check', ((await size('checks')) - before) / checkCount)
  const list = join(scratch, 'paths')
  await writeFile(list, `${paths.join('\n')}\n`)

  const start = await written()
  while ((await count('heartbeats')) < heartbeats) await runWrk(service, 5, 64, list)
  const rows = await count('heartbeats')
  print('a heartbeat', (await size('heartbeats')) / rows)
  print('a heartbeat, write-ahead log', ((await written()) - start) / rows)
  print('a check that beats', (await size('checks')) / checkCount)

  const bodyStart = await written()
  await sendBodies(service, paths, bodies)
  print(`a body of ${bodyBytes} bytes`, (await size('heartbeat_bodies')) / (await count('heartbeat_bodies')))
  print('a heartbeat with such a body, write-ahead log', ((await written()) - bodyStart) / bodies)

  await printSamples()
}

/** Of those that were taken there are many more copies, so that pages which are not full do not count. */
async function printSamples(): Promise<void> {
  const each = await number('SELECT count(*)::float8 / count(DISTINCT timestamp) AS n FROM health_metrics')
  await client.query(
    `INSERT INTO health_metrics (timestamp, metric_name, metric_value, tags)
     SELECT timestamp + copy * interval '1 hour', metric_name, metric_value, tags
     FROM generate_series(1, 500) copy, health_metrics ORDER BY copy, timestamp`,
  )
  const bytes = (await size('health_metrics')) / (await count('health_metrics'))
  const perDay = (each * bytes * samplesADay) / 2 ** 20
  console.log(`${each.toFixed(0)} samples of the service itself every 15 s: ${perDay.toFixed(0)} MB a day and replica`)
}

async function sendBodies({ url: base }: Server, paths: readonly string[], bodies: number): Promise<void> {
  let sent = 0
  const one = async () => {
    while (sent < bodies) {
      const path = paths[sent++ % paths.length] as string
      // Text that compresses no better than a job's output with its times and numbers.
      const body = randomBytes(bodyBytes / 2).toString('hex')
      const answer = await fetch(base + path, { method: 'POST', body, headers: { 'user-agent': 'curl/8.5.0' } })
      await answer.text()
    }
  }
  await Promise.all(Array.from({ length: clients }, one))
}

/** Of a table with its partitions, indexes and what is stored out of line. */
async function size(table: string): Promise<number> {
  return number(
    `SELECT sum(pg_total_relation_size(relid))::float8 AS n FROM pg_partition_tree('${table}')
     UNION ALL SELECT pg_total_relation_size('${table}')::float8`,
  )
}

function count(table: string): Promise<number> {
  return number(`SELECT count(*)::float8 AS n FROM ${table}`)
}

/** Bytes of the write-ahead log so far. */
function written(): Promise<number> {
  return number("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS n")
}

async function number(text: string): Promise<number> {
  const { rows } = await client.query<{ n: number | null }>(text)
  return rows.find(({ n }) => n !== null)?.n ?? 0
}

function print(what: string, bytes: number): void {
  console.log(`${what}: ${bytes.toFixed(0)} bytes`)
}
