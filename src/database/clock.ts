// The clock of all replicas is the database's. Between measurements it runs on this process's monotonic clock, so that a
// step of the machine's wall clock neither raises an alarm nor hides one.

import { performance } from 'node:perf_hooks'

export type Clock = {
  /** Epoch milliseconds, whole. Never goes back by less than `stepMs`: small corrections wait until they are caught up with. */
  now(): number
  /** `serverNow` in epoch milliseconds was read between the monotonic instants `before` and `after`. */
  correct(serverNow: number, before: number, after: number): void
  monotonic(): number
}

/** A correction beyond this is a wrong clock put right, not drift, and is followed at once, also backwards. */
const stepMs = 5000

export function createClock(monotonic: () => number = () => performance.now(), wall: () => number = Date.now): Clock {
  let offset = wall() - monotonic()
  let latest = 0

  return {
    monotonic,
    now() {
      const now = Math.floor(monotonic() + offset)
      latest = now < latest && latest - now < stepMs ? latest : now
      return latest
    },
    correct(serverNow, before, after) {
      // The server read its clock somewhere between the two instants. An offset that lies within that doubt is kept: a slow
      // answer of a busy server must not shift the time of every heartbeat by half its delay.
      const least = serverNow - after
      const most = serverNow - before
      offset = Math.min(Math.max(offset, least), most)
    },
  }
}
