// Step two: due deliveries are claimed and sent. A claim is a compare-and-set that moves the next attempt past the longest time that
// this one can take; who dies with it leaves it to whoever looks then. No more than a quarter of the slots go to one channel, so that
// a destination that hangs does not keep the others waiting, and none to one whose circuit breaker is open.

import type { Call } from '../circuit-breakers/service.ts'
import type { Database } from '../database/service.ts'
import type { Destinations } from './destinations.ts'
import { claimGroup } from './groups-store.ts'
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
  sending: Pick<Sending, 'attempt' | 'attemptGroup' | 'unreadable' | 'expire'>
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

  function start(deliveries: readonly store.ClaimedDelivery[], call: Call): void {
    const [delivery] = deliveries as [store.ClaimedDelivery]
    const { channelId } = delivery
    perChannel.set(channelId, (perChannel.get(channelId) ?? 0) + 1)
    const { signal } = stopping
    const sent = delivery.groupId
      ? sending.attemptGroup(deliveries, signal, call)
      : sending.attempt(delivery, signal, call)
    const attempt = sent.finally(() => {
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
    const groups = new Set<string>()
    for (const candidate of candidates) {
      if (chosen.size === free) break
      const { channelId, kind, groupId } = candidate
      if (groupId !== null && groups.has(groupId)) continue
      const count = counts.get(channelId) ?? 0
      const call = count < channelMax ? destinations.begin({ id: channelId, kind }) : null
      if (call === null) continue
      counts.set(channelId, count + 1)
      if (groupId !== null) groups.add(groupId)
      chosen.set(candidate, call)
    }
    return chosen
  }

  /** What nobody else has claimed meanwhile: each by itself, or with its group. */
  async function claimChosen(chosen: readonly store.DueDelivery[]): Promise<store.ClaimedDelivery[][]> {
    const at = now()
    const leaseUntil = at + requestTimeoutMs + leaseMarginMs
    const single = chosen.filter(({ groupId }) => groupId === null)
    return database.transaction(async (tx) => {
      const claimed = single.length === 0 ? [] : await store.claimDeliveries(tx, single, at, leaseUntil)
      const groups: store.ClaimedDelivery[][] = []
      for (const leader of chosen)
        if (leader.groupId !== null) groups.push(await claimGroup(tx, leader, at, leaseUntil))
      return [...claimed.map((delivery) => [delivery]), ...groups.filter((group) => group.length > 0)]
    })
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
        for (const claimed of await claimChosen([...chosen.keys()])) {
          const own = claimed.find(({ id }) => calls.has(id))
          if (own === undefined) continue
          start(claimed, calls.get(own.id) as Call)
          calls.delete(own.id)
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
