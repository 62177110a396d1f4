// The service as a process of its own: started as `npm start` starts it, watched through its log, stopped by its id.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { adminToken, eventually, keys, scratchDir } from '../helper.ts'
import { inherited } from '../tools.ts'

type Scope = Pick<TestContext, 'after'>

type Line = Record<string, unknown> & { event?: string; msg?: string }

export type Service = {
  url: string
  child: ChildProcess
  /** Everything it wrote, and its log lines. */
  output: () => string
  lines: () => Line[]
  event: (name: string, limitMs?: number) => Promise<Line>
  /** Sends the signal and resolves with the exit code (null if a signal ended it). */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>
  exited: Promise<number | null>
}

/**
 * `openFilesMax` and `umask` are limits of the process; `root` is the directory of the sources, if they are another
 * version's; `logFile` is where the log goes, if not to standard output.
 */
export type Start = {
  env?: Record<string, string>
  ready?: boolean
  openFilesMax?: number
  umask?: string
  root?: string | undefined
  logFile?: string
}

const sources = new URL('../..', import.meta.url).pathname

/** Starts a service and waits until it is ready, or, if `ready` is false, only until it listens. */
export async function startService(t: Scope, { env = {}, ready = true, ...how }: Start = {}): Promise<Service> {
  const service = await spawnService(t, env, how)
  const { url } = await service.event('server.listening')
  service.url = String(url)
  if (ready) await service.event('server.ready')
  return service
}

/** Starts a service and waits for nothing. */
export async function spawnService(
  t: Scope,
  env: Record<string, string>,
  { openFilesMax, umask, root = sources, logFile }: Omit<Start, 'env' | 'ready'> = {},
): Promise<Service> {
  const dataDir = env.DATA_DIR ?? (await scratchDir(t))
  const command = [process.execPath, 'src/server.ts']
  const limits = [openFilesMax && `ulimit -n ${openFilesMax}`, umask && `umask ${umask}`].filter(Boolean)
  const limited = ['sh', '-c', [...limits, 'exec "$0" "$@"'].join(' && '), ...command]
  const [program = '', ...args] = limits.length === 0 ? command : limited
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      PORT: '0',
      DRAIN_MS: '0',
      ADMIN_TOKEN: adminToken,
      BOOTSTRAP_API_KEY: keys.api_key,
      BOOTSTRAP_API_KEY_READONLY: keys.api_key_readonly,
      BOOTSTRAP_PING_KEY: keys.ping_key,
      ENCRYPTION_KEY: 'ab'.repeat(32),
      DATA_DIR: dataDir,
      // A busy machine would shed management calls, which is not under test here.
      FLATLINE__LIMITS__MAX_EVENT_LOOP_DELAY_MS: '0',
      ...env,
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (output += chunk))
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
  })
  const logged = () => (logFile && existsSync(logFile) ? readFileSync(logFile, 'utf8') : output)
  const lines = () =>
    logged()
      .split('\n')
      .flatMap((line): Line[] => (line.startsWith('{') ? [JSON.parse(line)] : []))
  const failed = () => new Error(`the service ended with ${child.exitCode ?? child.signalCode}:\n${output}`)

  return {
    url: '',
    child,
    exited,
    output: () => output,
    lines,
    async event(name, limitMs) {
      const seen = await eventually(
        `the event ${name}`,
        () => lines().find(({ event }) => event === name) ?? (child.exitCode === null ? undefined : 'exited'),
        limitMs,
      ).catch((error: Error) => {
        throw new Error(`${error.message}:\n${output}`)
      })
      if (seen === 'exited') throw failed()
      return seen as Line
    },
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}
