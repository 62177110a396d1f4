// How tests wait. A wait that passes costs nothing, so limits are generous and grow with the slowness of the machine; a fixed pause is only
// for a test whose subject is the time that passes.

import { setTimeout as sleep } from 'node:timers/promises'

/** How many times slower than a quiet machine this one is, at least 1: measured by test/run.ts before each file. */
export const slowness = Math.max(1, Number(process.env.TEST_SLOWNESS) || 1)

/** A limit of `ms` on a quiet machine, in ms on this one. For time-outs of tests, child processes, sockets and requests. */
export const patience = (ms: number): number => Math.ceil(ms * slowness)

/** The interval, in seconds, of a client that sends one heartbeat per second on a quiet machine. */
export const beatS = Math.ceil(slowness)

const generousMs = 60_000
const pollMs = 20

/** Waits until `probe` returns something other than undefined, null or false, for `limitMs` on a quiet machine and longer on a slow one. */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = generousMs,
): Promise<NonNullable<Exclude<T, false>>> {
  const giveUp = performance.now() + patience(limitMs)
  let last: unknown
  const poll = async () => {
    for (;;) {
      try {
        const found = await probe()
        if (found !== undefined && found !== null && found !== false) return found as NonNullable<Exclude<T, false>>
      } catch (error) {
        last = error
      }
      if (performance.now() > giveUp) throw new Error(`waited ${patience(limitMs)} ms for ${what}`, { cause: last })
      await sleep(pollMs)
    }
  }
  // The probe may hang, too.
  return within(what, poll(), limitMs + 5000)
}

/** The result of `promise`, or an error that contains `what`, after `limitMs` on a quiet machine and later on a slow one. */
export async function within<T>(what: string, promise: Promise<T>, limitMs = generousMs): Promise<T> {
  const stop = new AbortController()
  const late = sleep(patience(limitMs), undefined, { signal: stop.signal }).then(() => {
    throw new Error(`waited ${patience(limitMs)} ms for ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
    late.catch(() => undefined)
  }
}

/** Waits in real time, for the length of an outage or the pause of a client; never for a state that can be observed. `stop` ends it. */
export const pause = (ms: number, stop?: AbortSignal): Promise<void> =>
  sleep(ms, undefined, stop && { signal: stop }).catch(() => undefined)

/** The processor time of `work` in this thread, in ms: unlike wall time, it is hardly longer on a busy machine. */
export function cpuMs(work: () => unknown): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

/** The longest that `work` kept the event loop of this process at a stretch, in ms of processor time. */
export async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  let before = process.threadCpuUsage()
  let going = true
  const turn = () => {
    const { user, system } = process.threadCpuUsage(before)
    longest = Math.max(longest, (user + system) / 1000)
    before = process.threadCpuUsage()
    if (going) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  going = false
  turn()
  return longest
}
