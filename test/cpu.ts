// How long the event loop is held up: by the processor's time, which a busy machine does not lengthen.

/** Milliseconds of the best of some runs, so that what the collector or the compiler took once does not count. */
export async function cpuMs(work: () => unknown, runs = 3): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const before = process.threadCpuUsage()
    await work()
    const { user, system } = process.threadCpuUsage(before)
    best = Math.min(best, (user + system) / 1000)
  }
  return best
}
