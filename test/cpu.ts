// How long work blocks the event loop, in processor time, which a busy machine lengthens little.

import { setImmediate as turn } from 'node:timers/promises'
import { slowness } from './patience.ts'

/** How long one piece of work may block the event loop, in ms; longer on a machine whose caches other processes use. */
export const heldMaxMs = 100 * Math.min(slowness, 3)

/** Milliseconds of the best of some runs, so that what the collector or the compiler took once does not count. */
export async function cpuMs(work: () => unknown, runs = 3): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const before = process.threadCpuUsage()
    await work()
    best = Math.min(best, cpuMsSince(before))
  }
  return best
}

/** The longest turn of the event loop in milliseconds while `work` is under way, of the best of some runs. */
export async function longestTurnMs(work: () => Promise<unknown>, runs = 3): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    let [longest, isOver] = [0, false]
    const over = work().finally(() => {
      isOver = true
    })
    for (let before = process.threadCpuUsage(); !isOver; before = process.threadCpuUsage()) {
      await turn()
      longest = Math.max(longest, cpuMsSince(before))
    }
    await over
    best = Math.min(best, longest)
  }
  return best
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
