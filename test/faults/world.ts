// The system under test: replicas that share a DATA_DIR, without a load balancer, and a PostgreSQL behind a proxy that
// can fail.

import { randomInt } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createFaultProxy } from '../fault-proxy.ts'
import { call, eventually, scratchDir } from '../helper.ts'
import { type Service, startService } from '../scenarios/service.ts'
import { createClocks } from './clocks.ts'
import { createPostgres } from './postgres.ts'
import type { Scope } from './scope.ts'
import { mountSmallDisk } from './small-disk.ts'

export type Mode = 'available' | 'consistent'

export type World = Awaited<ReturnType<typeof createWorld>>

/** Nothing that runs is slow on purpose, and nobody is silent for so long. */
const check = { timeout: 30 * 86_400, grace: 86_400 }
const recoveryMs = 60_000

const spoolDiskBytes = 8 * 2 ** 20
const checkCount = 40

/** What a fault may need beside: clocks that can be set, or spools on a small disk of their own. */
export type Special = 'clocks' | 'disk'

export async function createWorld(scope: Scope, mode: Mode, replicas: number, special?: Special | undefined) {
  const clocks = special === 'clocks' ? await createClocks(scope) : null
  const postgres = await createPostgres(scope, clocks?.postgresEnv)
  const proxy = await createFaultProxy(scope, postgres.url)
  const dataDir = await scratchDir(scope)
  const spoolDir = join(dataDir, 'spool')
  await mkdir(spoolDir)
  if (special === 'disk') await mountSmallDisk(scope, spoolDir, spoolDiskBytes)
  const services: Service[] = []
  const env = {
    ...{ DATABASE_URL: proxy.url, DATA_DIR: dataDir, INGEST_MODE: mode, LOG_FORMAT: 'json' },
    FLATLINE__DATABASE__POOL_MAX: '8',
    ...clocks?.env,
  }

  /** Puts a new process in the place of the one that was there. */
  async function start(place: number, ready = true): Promise<void> {
    services[place] = await startService(scope, { env, ready })
  }

  await Promise.all(Array.from({ length: replicas }, (_, place) => start(place)))
  const [first] = services as [Service]
  const made = await Promise.all(
    Array.from({ length: checkCount }, () => call(first.url, 'POST', '/api/v3/checks/', check)),
  )
  const checks = made.map((answer) => String(answer.json().uuid))

  return {
    mode,
    clocks,
    postgres,
    proxy,
    services,
    checks,
    spoolDir,
    databaseUrl: postgres.url,
    start,
    anyPlace: () => randomInt(replicas),

    async kill(place: number): Promise<void> {
      await (services[place] as Service).stop('SIGKILL')
    },

    /** Heartbeats that wait on disk, in files; those of processes that are gone too. */
    spooled: () => spoolFiles(spoolDir),

    /** Every replica serves, and nothing waits in any spool. */
    async recovered(): Promise<void> {
      await eventually(
        `readiness (${services.map(({ url }) => url).join()})`,
        async () => {
          const ready = await Promise.all(services.map(({ url }) => call(url, 'GET', '/health/ready')))
          return ready.every(({ status }) => status === 200)
        },
        recoveryMs,
      )
      await eventually('empty spools', async () => (await spoolFiles(spoolDir)).length === 0, recoveryMs)
    },
  }
}

async function spoolFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true })
  return entries.filter((path) => path.endsWith('.spool'))
}
