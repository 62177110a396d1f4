// Step two: due deliveries are claimed and sent. A claim is a compare-and-set that moves the next attempt past the longest time that
// this one can take; who dies with it leaves it to whoever looks then. No more than a quarter of the slots go to one channel, so that
// a destination that hangs does not keep the others waiting, and none to one whose circuit breaker is open.

import type { Call } from '../circuit-breakers/service.ts'
import type { Database } from '../database/service.ts'
import type { Destinations } from './destinations.ts'
import type { Sending } from './sending.ts'
import * as store from './store.ts'

/** The rest of an attempt besides the request: reading what to tell, writing what came of it. */
const leaseMarginMs = 15_000
const candidatesPerSlot = 4
const expireEveryMs = 10_000

export type DelivererOptions = {
  database: Database
  now: () => number
  concurrency: number
  requestTimeoutMs: number
  destinations: Pick<Destinations, 'resting' | 'paced' | 'begin'>
  sending: Pick<Sending, 'attempt' | 'unreadable' | 'expire'>
  /** Called whenever a slot is free again. */
  onFree: () => void
}

export type Deliverer = ReturnType<typeof createDeliverer>

export function createDeliverer(options: DelivererOptions) {
  const { database, now, concurrency, requestTimeoutMs, destinations, sending, onFree } = options
  const channelMax = Math.max(1, Math.floor(concurrency / 4))
  const inFlight = new Set<Promise<void>>()
  const perChannel = new Map<string, number>()
  const stopping = new AbortController()
  let expireAt = Number.NEGATIVE_INFINITY

  function start(delivery: store.ClaimedDelivery, call: Call): void {
    const { channelId } = delivery
    perChannel.set(channelId, (perChannel.get(channelId) ?? 0) + 1)
    const attempt = sending.attempt(delivery, stopping.signal, call).finally(() => {
      inFlight.delete(attempt)
      const left = (perChannel.get(channelId) ?? 1) - 1
      if (left === 0) perChannel.delete(channelId)
      else perChannel.set(channelId, left)
      onFree()
    })
    inFlight.add(attempt)
  }

  /** In order, as many as there are slots: none of a channel that has its share, and what its circuit breaker lets through. */
  function choose(candidates: readonly store.DueDelivery[], free: number): Map<store.DueDelivery, Call> {
    const counts = new Map(perChannel)
    const chosen = new Map<store.DueDelivery, Call>()
    for (const candidate of candidates) {
      if (chosen.size === free) break
      const { channelId, kind } = candidate
      const count = counts.get(channelId) ?? 0
      const call = count < channelMax ? destinations.begin({ id: channelId, kind }) : null
      if (call === null) continue
      counts.set(channelId, count + 1)
      chosen.set(candidate, call)
    }
    return chosen
  }

  async function expire(channelIds: readonly string[]): Promise<void> {
    if (channelIds.length === 0 || now() < expireAt) return
    expireAt = now() + expireEveryMs
    await sending.expire(channelIds)
  }

  return {
    /** Starts as many due deliveries as there are slots, without waiting for them; true if more may be due at once. */
    async claim(): Promise<boolean> {
      const free = concurrency - inFlight.size
      if (free <= 0) return false
      const full = [...perChannel].filter(([, count]) => count >= channelMax).map(([channelId]) => channelId)
      const resting = destinations.resting()
      await expire(resting)
      const busy = [...full, ...sending.unreadable(), ...resting, ...destinations.paced()]
      const limit = free * candidatesPerSlot
      const candidates = await store.selectDue(database, now(), busy, limit)
      const chosen = choose(candidates, free)
      if (chosen.size === 0) return false
      const calls = new Map([...chosen].map(([{ id }, call]) => [id, call]))
      try {
        const seen = [...chosen.keys()]
        const leaseUntil = now() + requestTimeoutMs + leaseMarginMs
        const claimed = await database.transaction((tx) => store.claimDeliveries(tx, seen, now(), leaseUntil))
        for (const delivery of claimed) {
          start(delivery, calls.get(delivery.id) as Call)
          calls.delete(delivery.id)
        }
      } finally {
        for (const call of calls.values()) call.release()
      }
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
