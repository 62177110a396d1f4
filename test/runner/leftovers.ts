// What a test file has started and not ended: the processes of its group, those that have its directory in their
// environment, on their command line or as their working directory, and what is mounted there. Only Linux has this
// information; elsewhere there is only the group.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** `group` is the id of the file's process, which leads a group of its own; `dir` is its directory. */
export type Owner = { group: number; dir: string }
export type Leftover = { pid: number; command: string }

export function findLeftovers({ group, dir }: Owner): Leftover[] {
  return numbersIn('/proc').flatMap((pid) => {
    const [state, , groupOfPid] = /\) (\S) (\d+) (\d+) /.exec(textOf(`/proc/${pid}/stat`))?.slice(1) ?? ['Z']
    if (state === 'Z' || pid === process.pid) return []
    const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
    const isOurs =
      Number(groupOfPid) === group ||
      `${workingDirectory(pid)}/`.startsWith(`${dir}/`) ||
      command.includes(dir) ||
      textOf(`/proc/${pid}/environ`).includes(dir)
    return isOurs ? [{ pid, command }] : []
  })
}

/** Ends everything that is left: first so that a PostgreSQL can take its shared memory with it, then at once. */
export async function endLeftovers(owner: Owner, graceMs: number): Promise<void> {
  signalAll(owner, 'SIGQUIT')
  await gone(owner, graceMs)
  for (let round = 0; round < 10; round++) {
    signalAll(owner, 'SIGKILL')
    if (await gone(owner, 200)) break
  }
  for (const path of mountsBelow(owner.dir).reverse()) spawnSync('umount', ['-l', path])
}

/** Whether nothing is left within `ms`. */
export async function gone(owner: Owner, ms: number): Promise<boolean> {
  for (const giveUp = performance.now() + ms; ; await sleep(20)) {
    if (findLeftovers(owner).length === 0) return true
    if (performance.now() > giveUp) return false
  }
}

function signalAll(owner: Owner, signal: NodeJS.Signals): void {
  for (const target of [-owner.group, ...findLeftovers(owner).map(({ pid }) => pid)]) {
    try {
      process.kill(target, signal)
    } catch {
      // It has ended meanwhile.
    }
  }
}

const mountsBelow = (dir: string): string[] =>
  textOf('/proc/self/mountinfo')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((path) => path.startsWith(`${dir}/`))

function numbersIn(dir: string): number[] {
  try {
    return readdirSync(dir).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
  } catch {
    return []
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}
