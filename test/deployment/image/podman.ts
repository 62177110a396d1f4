// Runs the image as Kubernetes would under its strictest policy, except for the network, which is that of this machine.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from '../../helper.ts'
import { engineDir, run } from '../containers.ts'
import { imageName } from './image.ts'

type Line = Record<string, unknown> & { event?: string; msg?: string; time?: string }

export type Container = {
  /** A program inside, without a shell. */
  exec: (...command: string[]) => Promise<string>
  lines: () => Promise<Line[]>
  event: (name: string) => Promise<Line>
  state: () => Promise<{ StartedAt: string; ExitCode: number; OOMKilled: boolean }>
  /** Sends process 1 the signal and resolves with the exit code. */
  stop: (signal: string) => Promise<number>
}

export type Podman = {
  podman: (...args: string[]) => Promise<string>
  start: (t: TestContext, env: Record<string, string>) => Promise<Container>
  /** Runs a command in a container of its own to its end. */
  once: (env: Record<string, string>, ...command: string[]) => Promise<string>
}

export const runTools = ['podman', 'runc']

/** No systemd, hybrid cgroups and no right to raise limits, as on machines that only build: hence runc and these limits. */
const machine = ['--runtime=runc', '--no-healthcheck', '--ulimit=nofile=20000:20000', '--ulimit=nproc=2000:2000']
const policy = ['--read-only', '--read-only-tmpfs=false', '--cap-drop=all', '--security-opt=no-new-privileges']
const limits = ['--memory=512m', '--cpus=1.0', '--pids-limit=200', '--network=host', '--log-driver=k8s-file']

/** A store of its own with the image in it. */
export async function loadImage(t: Pick<TestContext, 'after'>, archive: string): Promise<Podman> {
  const storage = await engineDir(t)
  const temporary = join(storage, 'tmp')
  await mkdir(temporary)
  const where = ['--root', `${storage}/root`, '--runroot', `${storage}/run`, '--storage-driver', 'overlay']
  const engine = [...where, '--cgroup-manager=cgroupfs', '--events-backend=file']
  const podman = (...args: string[]) => run('podman', [...engine, ...args], { env: { TMPDIR: temporary } })
  await podman('load', '--quiet', '--input', archive)

  const strict = (env: Record<string, string>) => [
    ...machine,
    ...policy,
    ...limits,
    ...Object.entries({ HOST: '127.0.0.1', ...env }).map(([name, value]) => `--env=${name}=${value}`),
  ]
  return {
    podman,
    once: (env, ...command) => podman('run', '--rm', ...strict(env), imageName, ...command),
    async start(t, env) {
      const id = (await podman('run', '--detach', ...strict(env), imageName)).trim()
      t.after(() => podman('rm', '--force', '--time=0', id).catch(() => undefined))
      return watch(podman, id)
    },
  }
}

function watch(podman: Podman['podman'], id: string): Container {
  const text = () => podman('logs', id)
  const lines = async () =>
    (await text()).split('\n').flatMap((line): Line[] => (line.startsWith('{') ? [JSON.parse(line)] : []))
  return {
    lines,
    exec: (...command) => podman('exec', id, ...command),
    async event(name) {
      const found = async () => (await lines()).find(({ event }) => event === name)
      return eventually(`the event ${name}`, found).catch(async (error: Error) => {
        throw new Error(`${error.message}:\n${await text()}`)
      })
    },
    state: async () => JSON.parse(await podman('inspect', '--format={{json .State}}', id)),
    async stop(signal) {
      await podman('kill', `--signal=${signal}`, id)
      return Number(await podman('wait', id))
    },
  }
}
