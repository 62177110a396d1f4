// PostgreSQL 15 as Debian packages it, on a cluster of the test's own: for its tools, which the embedded one lacks, and for what needs the
// server's own settings.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { chooseAccount, giveTo, type SystemAccount } from '../../../src/database/embedded/account.ts'
import { eventually } from '../../helper.ts'

export const bin = '/usr/lib/postgresql/15/bin'
/** Hard on the way through addresses and shells. */
const password = 'p@ss/w:rd? 100%\\x41 "$HOME"'
const run = promisify(execFile)

type Scope = Pick<TestContext, 'after'>

export type Cluster = {
  dir: string
  account: SystemAccount
  url: (database: string) => string
  password: string
  stop: (signal?: NodeJS.Signals) => Promise<void>
}

export function needsDebianPostgres(): string | false {
  if (existsSync(`${bin}/postgres`)) return false
  if (process.env.CI) throw new Error('PostgreSQL 15 is not installed: .ci/run must install it')
  return 'PostgreSQL 15 is not installed (Debian: apt-get install postgresql-15)'
}

/** A directory that the account under which PostgreSQL runs may use. */
async function clusterDir(t: Scope): Promise<{ dir: string; account: SystemAccount }> {
  const dir = await mkdtemp(join(tmpdir(), 'flatline-pg15-'))
  await chmod(dir, 0o755)
  const account = await chooseAccount([])
  await giveTo(account, dir)
  t.after(() => rm(dir, { recursive: true, force: true }))
  return { dir, account }
}

/** A new cluster that runs. */
export async function createCluster(t: Scope, settings: Record<string, string> = {}): Promise<Cluster> {
  const { dir, account } = await clusterDir(t)
  const data = join(dir, 'data')
  await writeFile(join(dir, 'password'), password)
  await giveTo(account, dir)
  const options = [
    '-U',
    'flatline',
    '-E',
    'UTF8',
    '--locale=C',
    '-A',
    'scram-sha-256',
    '--pwfile',
    join(dir, 'password'),
  ]
  await run(`${bin}/initdb`, ['-D', data, ...options, '--no-sync', '--no-instructions'], { ...account, cwd: dir })
  return startCluster(t, { dir, account }, settings)
}

/** Starts the cluster in `dir`/data on a free port and waits until it answers. */
export async function startCluster(
  t: Scope,
  { dir, account }: { dir: string; account: SystemAccount },
  settings: Record<string, string> = {},
): Promise<Cluster> {
  const port = await freePort()
  const all = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', log_line_prefix: '', ...settings }
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'\n`)
  await appendFile(join(dir, 'data/postgresql.conf'), lines.join(''))
  const log = await open(join(dir, 'log'), 'a')
  const child = spawn(`${bin}/postgres`, ['-D', join(dir, 'data')], {
    ...account,
    cwd: dir,
    stdio: ['ignore', log.fd, log.fd],
  })
  await log.close()
  const exited = once(child, 'exit')
  const stop = async (signal: NodeJS.Signals = 'SIGINT') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
  }
  t.after(() => stop('SIGQUIT'))
  const url = (database: string) => `postgres://flatline:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
  await eventually('PostgreSQL 15', async () => {
    if (child.exitCode !== null) throw new Error(`PostgreSQL ended with ${child.exitCode}: see ${dir}/log`)
    const client = new pg.Client({ connectionString: url('postgres') })
    client.on('error', () => undefined)
    await client.connect().finally(() => client.end())
    return true
  })
  return { dir, account, url, password, stop }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  return typeof address === 'object' && address ? address.port : 0
}
