// What this process may use, as the kernel says; read once, at the start. In a container the limits of the control
// group count, not those of the machine.

import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

/** Without a limit, version 1 writes a number beyond any machine and version 2 writes `max`. */
const unlimitedBytes = 2 ** 60

/** Bytes that the control group (version 1 or 2) allows, or the memory of the machine. */
export function memoryLimitBytes(root = '/'): number {
  const groups = groupPaths(root)
  const limits = [
    ...groups.unified.map((path) => join(path, 'memory.max')),
    ...groups.memory.map((path) => join(path, 'memory.limit_in_bytes')),
  ].map((file) => Number(read(file)?.trim()))
  const real = limits.filter((limit) => limit > 0 && limit < unlimitedBytes)
  return Math.min(totalmem(), ...real)
}

/** Cores that the control group allows, possibly a fraction, or those of the machine. */
export function cpuLimitCores(root = '/'): number {
  const groups = groupPaths(root)
  const unified = groups.unified.map((path) => (read(join(path, 'cpu.max')) ?? '').trim().split(' ').map(Number))
  const separate = groups.cpu.map((path) => [
    Number(read(join(path, 'cpu.cfs_quota_us'))),
    Number(read(join(path, 'cpu.cfs_period_us'))),
  ])
  const shares = [...unified, ...separate].map(([quota = Number.NaN, period = Number.NaN]) => quota / period)
  return Math.min(availableParallelism(), ...shares.filter((share) => share > 0))
}

/**
 * The directories of this process's control groups and of their parents; inside a container only the mount point
 * exists.
 */
function groupPaths(root: string): { unified: string[]; memory: string[]; cpu: string[] } {
  const mount = join(root, 'sys/fs/cgroup')
  const paths = { unified: [mount], memory: [join(mount, 'memory')], cpu: [join(mount, 'cpu')] }
  for (const line of (read(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined || controllers === undefined) continue
    if (controllers === '') paths.unified.push(...ancestors(mount, path))
    for (const controller of ['memory', 'cpu'] as const) {
      if (controllers.split(',').includes(controller))
        paths[controller].push(
          ...ancestors(join(mount, controllers), path),
          ...ancestors(join(mount, controller), path),
        )
    }
  }
  return paths
}

function ancestors(mount: string, path: string): string[] {
  return path === '/' ? [] : [join(mount, path), ...ancestors(mount, dirname(path))]
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
