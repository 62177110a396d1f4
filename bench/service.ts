// What the benches share: the service as it is shipped, on an embedded database of its own, checks, and wrk.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { arch, cpus, loadavg, platform, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'

export type Run = { answered: number; refused: number; failed: number; seconds: number; p50Ms: number; p99Ms: number }
export type Server = { url: string; child: ChildProcess }

export const checkCount = 1000
const startTimeoutMs = 60_000
const stopTimeoutMs = 20_000
const root = join(import.meta.dirname, '..')
export const apiKey = randomBytes(16).toString('hex')
const children: ChildProcess[] = []

/** Gives a bench a directory for what it writes, and clears up behind it, whatever comes. */
export async function bench(measure: (scratch: string) => Promise<void>): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'flatline-bench-'))
  // Under root the database runs as another account, which must be able to pass through here.
  await chmod(scratch, 0o711)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => cleanUp(scratch).finally(() => process.exit(130)))
  }
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`
  console.log(`machine: ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${memory}, ${platform()} ${arch()}`)
  console.log(`Node ${process.version}, load average before: ${loadavg()[0]?.toFixed(1)}`)
  try {
    await measure(scratch)
  } finally {
    await cleanUp(scratch)
  }
}

/** Options that are whole numbers; the values given are the defaults. */
export function readNumbers<Name extends string>(defaults: Record<Name, number>): Record<Name, number> {
  const options = Object.fromEntries(
    Object.entries<number>(defaults).map(([name, value]) => [
      name,
      { type: 'string' as const, default: String(value) },
    ]),
  )
  const entries = Object.entries(parseArgs({ options }).values).map(([name, text]) => [name, Number(text)] as const)
  const wrong = entries.find(([, value]) => !Number.isInteger(value) || value < 1 || value > 100_000_000)
  if (wrong) {
    console.error(`--${wrong[0]} must be a whole number from 1 to 100000000`)
    process.exit(1)
  }
  return Object.fromEntries(entries) as Record<Name, number>
}

/** Of `values`, which it sorts. */
export function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => percentile([...values], 0.5)

/** The value of a metric of the service, summed over its labels. */
export async function metric({ url }: Server, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const samples = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0)
}

export function requireWrk(): void {
  // wrk --version answers with exit status 1.
  if (spawnSync('wrk', ['--version']).error === undefined) return
  console.error('The bench needs wrk, an HTTP load generator: apt-get install wrk, or brew install wrk')
  process.exit(1)
}

/** Everything as shipped, on an embedded database of its own; nothing of the caller's settings. */
function serviceEnvironment(dataDir: string): Record<string, string> {
  const shipped = { NODE_OPTIONS: '--max-semi-space-size=16' }
  return {
    ...shipped,
    DEPLOYMENT_ENV: 'local',
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_FORMAT: 'json',
    BOOTSTRAP_API_KEY: apiKey,
  }
}

/** The service as shipped, ready, in a directory within `scratch`. */
export async function startService(scratch: string, env: Record<string, string> = {}): Promise<Server> {
  const service = await startServer('src/server.ts', { ...serviceEnvironment(join(scratch, 'data')), ...env })
  await waitUntilReady(service)
  return service
}

/** How many heartbeats the checks have had, by their own count. */
export async function countPings({ url }: Server): Promise<number> {
  const answer = await fetch(`${url}/api/v3/checks/`, { headers: { 'x-api-key': apiKey } })
  const { checks } = (await answer.json()) as { checks: { n_pings: number }[] }
  return checks.reduce((sum, check) => sum + check.n_pings, 0)
}

/** Resolves once the server has logged its address; both log lines of JSON. */
export async function startServer(file: string, env: Record<string, string>): Promise<Server> {
  const child = spawn(process.execPath, [file], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const address = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /"url":"(http:[^"]+)"/.exec(line)?.[1]
      if (url) resolve(url)
      if (/"level":"(error|fatal)"/.test(line)) console.error(line)
    })
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
  })
  const late = sleep(startTimeoutMs, undefined, { ref: false }).then(() => {
    throw new Error(`${file} did not start within ${startTimeoutMs / 1000} s`)
  })
  return { url: await Promise.race([address, late]), child }
}

async function waitUntilReady({ url }: Server): Promise<void> {
  for (const giveUp = performance.now() + startTimeoutMs; performance.now() < giveUp; await sleep(50)) {
    if ((await fetch(`${url}/health/ready`)).ok) return
  }
  throw new Error(`the service was not ready within ${startTimeoutMs / 1000} s`)
}

/** Returns their ping addresses. */
export async function createChecks(url: string, count = checkCount): Promise<string[]> {
  const paths: string[] = []
  for (let i = 0; i < count; i++) {
    const answer = await fetch(`${url}/api/v3/checks/`, {
      method: 'POST',
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `check ${i}`, timeout: 86_400, grace: 3600 }),
    })
    const { ping_url: pingUrl } = (await answer.json()) as { ping_url: string }
    paths.push(new URL(pingUrl).pathname)
  }
  return paths
}

export async function runWrk({ url }: Server, seconds: number, connections: number, list: string): Promise<Run> {
  const script = join(import.meta.dirname, 'pings.lua')
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, url, '--', list]
  const { stdout } = await promisify(execFile)('wrk', args, { timeout: (seconds + 60) * 1000 })
  return JSON.parse(stdout.trim().split('\n').at(-1) as string)
}

async function cleanUp(scratch: string): Promise<void> {
  await Promise.all(children.map(stop))
  await rm(scratch, { recursive: true, force: true })
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await ended
  clearTimeout(timer)
}
