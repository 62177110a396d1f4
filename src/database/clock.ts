// The clock of all replicas is the database's. Between measurements it runs on this process's monotonic clock, so that a
// step of the machine's wall clock neither raises an alarm nor hides one.

import { performance } from 'node:perf_hooks'

export type Clock = {
  /** Epoch milliseconds, whole. Never goes back by less than `stepMs`: small corrections wait until they are caught up with. */
  now(): number
  /** `serverNow` in epoch milliseconds was read between the monotonic instants `before` and `after`. */
  correct(serverNow: number, before: number, after: number): void
  /** When it was last found, on the monotonic clock, that the database's clock had been set, or that the machine had slept. */
  steppedAt(): number
  monotonic(): number
}

/** A correction beyond this is a wrong clock put right, not drift, and is followed at once, also backwards. */
const stepMs = 5000
/** A clock that is only drifting is never so far off between two measurements. */
const driftMs = 1000

export function createClock(monotonic: () => number = () => performance.now(), wall: () => number = Date.now): Clock {
  let offset = wall() - monotonic()
  let latest = 0
  let steppedAt = Number.NEGATIVE_INFINITY

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
      const corrected = Math.min(Math.max(offset, least), most)
      if (Math.abs(corrected - offset) > driftMs) steppedAt = monotonic()
      offset = corrected
    },
    steppedAt: () => steppedAt,
  }
}
