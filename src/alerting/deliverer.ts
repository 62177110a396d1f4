// Step two: due deliveries are claimed and sent. A claim is a compare-and-set that moves the next attempt past the longest time that
// this one can take; who dies with it leaves it to whoever looks then. No more than a quarter of the slots go to one channel, so that
// a destination that hangs does not keep the others waiting.

import type { Database } from '../database/service.ts'
import * as store from './store.ts'

/** The rest of an attempt besides the request: reading what to tell, writing what came of it. */
const leaseMarginMs = 15_000
const candidatesPerSlot = 4

export type DelivererOptions = {
  database: Database
  now: () => number
  concurrency: number
  requestTimeoutMs: number
  /** Sends one delivery and writes what came of it. */
  attempt: (delivery: store.ClaimedDelivery, signal: AbortSignal) => Promise<void>
  /** Channels whose settings this process cannot decrypt: another one may. */
  unreadable: () => readonly string[]
  /** Called whenever a slot is free again. */
  onFree: () => void
}

export type Deliverer = ReturnType<typeof createDeliverer>

export function createDeliverer(options: DelivererOptions) {
  const { database, now, concurrency, requestTimeoutMs, attempt, onFree } = options
  const channelMax = Math.max(1, Math.floor(concurrency / 4))
  const inFlight = new Set<Promise<void>>()
  const perChannel = new Map<string, number>()
  const stopping = new AbortController()

  function start(delivery: store.ClaimedDelivery): void {
    const { channelId } = delivery
    perChannel.set(channelId, (perChannel.get(channelId) ?? 0) + 1)
    const sending = attempt(delivery, stopping.signal).finally(() => {
      inFlight.delete(sending)
      const left = (perChannel.get(channelId) ?? 1) - 1
      if (left === 0) perChannel.delete(channelId)
      else perChannel.set(channelId, left)
      onFree()
    })
    inFlight.add(sending)
  }

  return {
    /** Starts as many due deliveries as there are slots, without waiting for them; true if more may be due at once. */
    async claim(): Promise<boolean> {
      const free = concurrency - inFlight.size
      if (free <= 0) return false
      const full = [...perChannel].filter(([, count]) => count >= channelMax).map(([channelId]) => channelId)
      const busy = [...full, ...options.unreadable()]
      const limit = free * candidatesPerSlot
      const candidates = await store.selectDue(database, now(), busy, limit)
      const chosen = fairShare(candidates, perChannel, channelMax).slice(0, free)
      if (chosen.length === 0) return false
      const leaseUntil = now() + requestTimeoutMs + leaseMarginMs
      const claimed = await database.transaction((tx) => store.claimDeliveries(tx, chosen, now(), leaseUntil))
      for (const delivery of claimed) start(delivery)
      return candidates.length === limit
    },

    /** Waits for those under way, at most `graceMs`; then they are given up and left to another replica. */
    async drain(graceMs: number): Promise<void> {
      const timer = setTimeout(() => stopping.abort(), graceMs)
      await Promise.allSettled(inFlight)
      clearTimeout(timer)
    },
  }
}

/** In order, without those whose channel would get more than `channelMax` slots. */
function fairShare(
  candidates: readonly store.DueDelivery[],
  taken: ReadonlyMap<string, number>,
  channelMax: number,
): store.DueDelivery[] {
  const counts = new Map(taken)
  return candidates.filter(({ channelId }) => {
    const count = counts.get(channelId) ?? 0
    counts.set(channelId, count + 1)
    return count < channelMax
  })
}
