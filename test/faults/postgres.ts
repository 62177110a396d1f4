// A PostgreSQL whose processes a test can kill, freeze and start again; always at the same address, with its data on disk as shipped.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { childEnvironment, prepareCluster } from '../../src/database/embedded/cluster.ts'
import { directory } from '../database/fixtures/embedded.ts'
import { eventually } from '../helper.ts'
import { patience } from '../patience.ts'
import type { Scope } from './scope.ts'

const quiet = { info() {}, warn() {}, error() {} }
const settings = {
  ...{ listen_addresses: '', max_connections: 60, shared_buffers: '64MB', timezone: 'UTC', jit: 'off' },
  ...{ fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' },
}

/** `env` is for its processes, beside what they have anyway. */
export async function createPostgres(scope: Scope, env: Record<string, string> = {}) {
  const cluster = await prepareCluster(await directory(scope), quiet)
  const options = Object.entries({ ...settings, unix_socket_directories: cluster.dir })
  const args = ['-D', cluster.dir, ...options.flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  const url = `postgres://flatline@localhost:5432/postgres?host=${encodeURIComponent(cluster.dir)}`
  let postmaster = await launch()

  async function launch() {
    const log = await open(join(cluster.dataDir, 'postgres.log'), 'a')
    const child = spawn(cluster.binaries.postgres, args, {
      ...cluster.account,
      cwd: cluster.dir,
      env: { ...childEnvironment(), ...env },
      stdio: ['ignore', log.fd, log.fd],
    })
    await log.close()
    const exited = once(child, 'exit')
    return { pid: child.pid as number, exited, isRunning: () => child.exitCode === null && child.signalCode === null }
  }

  /** Until it serves, as often as it takes: what a kill has left behind may stand in the way for a moment. */
  async function start(): Promise<void> {
    await eventually(
      'PostgreSQL',
      async () => {
        if (!postmaster.isRunning()) postmaster = await launch()
        return answers(url)
      },
      60_000,
    )
  }

  /** Fast shutdown, with which no transaction ends but those that have committed. */
  async function stop(): Promise<void> {
    if (postmaster.isRunning()) process.kill(postmaster.pid, 'SIGINT')
    await postmaster.exited
  }

  async function family(): Promise<number[]> {
    const children = await readFile(`/proc/${postmaster.pid}/task/${postmaster.pid}/children`, 'utf8')
    return [postmaster.pid, ...children.trim().split(/\s+/).filter(Boolean).map(Number)]
  }

  async function signalAll(signal: NodeJS.Signals): Promise<void> {
    for (const pid of await family()) signalOne(pid, signal)
  }

  scope.after(async () => {
    if (postmaster.isRunning()) await signalAll('SIGCONT')
    await stop()
  })
  await start()

  return {
    url,
    start,
    stop,

    /** kill -9 of every process at once. */
    async killAll(): Promise<void> {
      await signalAll('SIGKILL')
      await postmaster.exited
    },

    /** kill -9 of one process that serves a connection of ours: the server ends all others, and recovers. */
    async killBackend(): Promise<void> {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      await client.connect()
      const { rows } = await client.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'flatline' ORDER BY state = 'active' DESC, random() LIMIT 1",
      )
      signalOne(rows[0]?.pid as number, 'SIGKILL')
      await client.end().catch(() => undefined)
    },

    /** None of its processes moves, and no connection breaks. */
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: patience(2000) })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } finally {
    await client.end().catch(() => undefined)
  }
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error
  }
}
