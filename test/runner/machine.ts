// Measures how slow the machine is at the moment: tests multiply their limits by it.

import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'

/** What a quiet machine of two processors needs, in ms. */
const quietMs = { computing: 60, starting: 60, syncing: 60 }
/** Beyond that a machine is not busy but broken. */
const slownessMax = 16

export type Machine = { slowness: number; ms: typeof quietMs }

/** Computes, starts a process and syncs a file in `dir`, a fixed amount of each; the slowest counts. */
export function measureMachine(dir: string): Machine {
  const ms = {
    computing: timed(compute),
    starting: timed(() => spawnSync(process.execPath, ['-e', ''], { env: {} })),
    syncing: timed(() => sync(join(dir, 'sync'))),
  }
  const ratios = Object.entries(quietMs).map(([name, quiet]) => ms[name as keyof typeof ms] / quiet)
  return { slowness: bounded(Math.max(...ratios)), ms }
}

/** The slowness now, by what was measured at the start and how many want each processor since. */
export const slownessNow = ({ slowness }: Machine): number => bounded(Math.max(slowness, perProcessor()))

/** 0 on Windows, which keeps no load average. */
const perProcessor = (): number => (loadavg()[0] ?? 0) / availableParallelism()

const bounded = (ratio: number): number => Math.min(Math.max(ratio, 1), slownessMax)

function timed(work: () => unknown): number {
  const began = performance.now()
  work()
  return performance.now() - began
}

function compute(): number {
  let state = 1
  for (let n = 0; n < 20_000_000; n++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
  return state
}

function sync(file: string): void {
  const page = Buffer.alloc(8192)
  const fd = openSync(file, 'w')
  for (let n = 0; n < 10; n++) {
    writeSync(fd, page)
    fsyncSync(fd)
  }
  closeSync(fd)
}
