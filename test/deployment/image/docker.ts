// A Docker engine of one's own: its data below a temporary directory, its network cut off from that of this machine.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { eventually } from '../../helper.ts'
import { within } from '../../patience.ts'
import { engineDir, run } from '../containers.ts'

export type Docker = {
  docker: (...args: string[]) => Promise<string>
  /** Compose, with what is set for it beside the settings that the engine was started with. */
  compose: (args: string[], settings?: Record<string, string>) => Promise<string>
  /** What a client on the engine's machine gets: status, a line feed and the body. */
  curl: (...args: string[]) => Promise<string>
  /** Starts a program on the engine's machine. */
  start: (program: string, ...args: string[]) => ChildProcessByStdio<null, Readable, null>
  /** What programs need that call `docker` or `docker-compose` themselves. */
  env: Record<string, string>
}

export const engineTools = [
  'dockerd',
  'docker',
  'docker-compose',
  'setpriv',
  'unshare',
  'nsenter',
  'ip',
  'iptables',
  'curl',
]

/** `project` is the directory of docker-compose.yml, `settings` what is set for it. */
export async function startDocker(
  t: Pick<TestContext, 'after'>,
  project: string,
  settings: Record<string, string>,
): Promise<Docker> {
  const directory = await engineDir(t, () => stop())
  const socket = `unix://${directory}/engine.sock`
  const log = join(directory, 'log')
  const engine = [
    `--data-root=${directory}/data`,
    `--exec-root=${directory}/exec`,
    `--pidfile=${directory}/pid`,
    `--host=${socket}`,
    '--storage-driver=overlay2',
    '--default-ulimit=nofile=20000:20000',
  ]
  const start = 'ip link set lo up; exec dockerd "$@"'
  // The engine ends with this process, whichever way that ends.
  const daemon = spawn('setpriv', ['--pdeathsig', 'TERM', 'unshare', '-n', 'sh', '-c', start, 'dockerd', ...engine])
  const output = createWriteStream(log)
  for (const stream of [daemon.stdout, daemon.stderr]) stream.pipe(output, { end: false })
  const ended = new Promise((resolve) => daemon.once('exit', resolve))
  const stop = async () => {
    // Containers survive their engine, if they can.
    const left = (await docker('ps', '--all', '--quiet').catch(() => '')).split('\n').filter((id) => id !== '')
    if (left.length > 0) await docker('rm', '--force', ...left).catch(() => undefined)
    daemon.kill('SIGTERM')
    await within('the end of the engine', ended, 20_000).catch(() => daemon.kill('SIGKILL'))
    await ended
    output.end()
  }

  const env = { ...settings, DOCKER_HOST: socket, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: directory }
  const docker = (...args: string[]) => run('docker', args, { env })
  await eventually('the engine to answer', () => docker('version').then(() => true)).catch(async (error: Error) => {
    throw new Error(`${error.message}:\n${(await readFile(log, 'utf8')).slice(-4000)}`)
  })
  const inside = ['--net', `--target=${daemon.pid}`]
  return {
    docker,
    env,
    compose: (args, more = {}) => run('docker-compose', args, { cwd: project, env: { ...env, ...more } }),
    curl: (...args) =>
      run('nsenter', [...inside, 'curl', '-sS', '-m', '10', '-o', '-', '-w', '\\n%{http_code}', ...args]),
    start: (program, ...args) => {
      const child = spawn('nsenter', [...inside, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
      t.after(() => child.kill('SIGKILL'))
      return child
    },
  }
}
