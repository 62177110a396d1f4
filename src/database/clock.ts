// All replicas use the clock of the database. Between measurements it runs on this process's monotonic clock, so that a
// step of the machine's wall clock neither raises an alert nor hides one.

import { performance } from 'node:perf_hooks'

export type Clock = {
  /**
   * Epoch milliseconds, whole. Never goes back by less than `stepMs`: a small correction waits until time has caught
   * up.
   */
  now(): number
  /** `serverNow` in epoch milliseconds was read between the monotonic instants `before` and `after`. */
  correct(serverNow: number, before: number, after: number): void
  /** When a step of the database's clock, or a sleep of the machine, was last detected, on the monotonic clock. */
  steppedAt(): number
  monotonic(): number
}

/** A larger correction means that a wrong clock was set, not drift, and applies at once, also backwards. */
const stepMs = 5000
/** Drift alone is never this large between two measurements. */
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
      // The server read its clock between the two instants. An offset within that uncertainty is kept: a slow answer of
      // a busy server must not shift the time of every heartbeat by half its delay.
      const least = serverNow - after
      const most = serverNow - before
      const corrected = Math.min(Math.max(offset, least), most)
      if (Math.abs(corrected - offset) > driftMs) steppedAt = monotonic()
      offset = corrected
    },
    steppedAt: () => steppedAt,
  }
}
