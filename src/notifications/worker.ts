// Step two: due deliveries are claimed and sent. A claim is a compare-and-set that takes a lease (leases.ts): if the
// process dies, another one claims the delivery once the lease has expired. Nothing is claimed for a channel that has
// its share of the slots, or whose circuit breaker is open.

import type { Destinations } from '../channels/sending/destinations.ts'
import type { PaceBudget } from '../channels/sending/pace.ts'
import type { Sender } from '../channels/sending/send.ts'
import type { Slots } from '../channels/sending/slots.ts'
import type { Call } from '../circuit-breakers/service.ts'
import type { Database } from '../database/service.ts'
import type { Attempts } from './attempts/attempt.ts'
import type { Leases } from './leases.ts'
import { claimGroup } from './outbox/groups-store.ts'
import * as store from './queue-store.ts'

const candidatesPerSlot = 4
const expireEveryMs = 10_000

export type WorkerOptions = {
  database: Database
  now: () => number
  slots: Pick<Slots, 'free' | 'widest' | 'isFree' | 'busy' | 'take'>
  leases: Pick<Leases, 'claimMs' | 'holds'>
  destinations: Pick<Destinations, 'broken' | 'delayed' | 'begin'>
  pace: PaceBudget
  sender: Pick<Sender, 'unreadable'>
  attempts: Pick<Attempts, 'attempt' | 'attemptGroup' | 'expire'>
  /** Called whenever a slot is free again. */
  onFree: () => void
}

type Chosen = { call: Call; leave: () => void }

export function createWorker(options: WorkerOptions) {
  const { database, now, slots, leases, destinations, pace, attempts, sender, onFree } = options
  const inFlight = new Set<Promise<void>>()
  const stopping = new AbortController()
  let expireAt = Number.NEGATIVE_INFINITY

  function start(deliveries: readonly store.ClaimedDelivery[], { call, leave }: Chosen): void {
    const [delivery] = deliveries as [store.ClaimedDelivery]
    const { signal } = stopping
    const sent = delivery.groupId
      ? attempts.attemptGroup(deliveries, signal, call)
      : attempts.attempt(delivery, signal, call)
    const attempt = sent.finally(() => {
      inFlight.delete(attempt)
      leave()
      onFree()
    })
    inFlight.add(attempt)
  }

  /**
   * Chooses candidates in order while there are slots, but none of a channel or project that has its share, and none
   * that a circuit breaker refuses.
   */
  function choose(candidates: readonly store.DueDelivery[]): Map<store.DueDelivery, Chosen> {
    const chosen = new Map<store.DueDelivery, Chosen>()
    const groups = new Set<string>()
    for (const candidate of candidates) {
      const { channelId, kind, groupId } = candidate
      if (groupId !== null && groups.has(groupId)) continue
      const call =
        !leases.holds(candidate) && slots.isFree(candidate) ? destinations.begin({ id: channelId, kind }) : null
      if (call === null) continue
      const { watched, leave } = slots.take(candidate, call)
      if (groupId !== null) groups.add(groupId)
      chosen.set(candidate, { call: watched, leave })
    }
    return chosen
  }

  /** What may go now and nobody else has claimed meanwhile: each by itself, or with its group. */
  async function claimChosen(chosen: readonly store.DueDelivery[]): Promise<store.ClaimedDelivery[][]> {
    const at = now()
    const leaseUntil = at + leases.claimMs
    return database.transaction(async (tx) => {
      const granted = await pace.spend(tx, chosen)
      const single = granted.filter(({ groupId }) => groupId === null)
      const claimed = single.length === 0 ? [] : await store.claimDeliveries(tx, single, at, leaseUntil)
      const groups: store.ClaimedDelivery[][] = []
      for (const leader of granted)
        if (leader.groupId !== null) groups.push(await claimGroup(tx, leader, at, leaseUntil))
      return [...claimed.map((delivery) => [delivery]), ...groups.filter((group) => group.length > 0)]
    })
  }

  async function expire(channelIds: readonly string[]): Promise<void> {
    if (channelIds.length === 0 || now() < expireAt) return
    expireAt = now() + expireEveryMs
    await attempts.expire(channelIds)
  }

  async function selectCandidates(limits: store.DueLimits): Promise<store.DueDelivery[]> {
    const busy = slots.busy()
    const broken = destinations.broken()
    await expire(broken)
    const waiting = [
      ...busy.channels,
      ...sender.unreadable().map(([id]) => id),
      ...broken,
      ...destinations.delayed(),
      ...pace.waiting(),
    ]
    return store.selectDue(database, now(), { ...busy, channels: waiting }, limits)
  }

  return {
    /** Starts as many due deliveries as there are slots, without waiting for them; true if more may be due at once. */
    async claim(): Promise<boolean> {
      const free = slots.free()
      if (free <= 0) return false
      const limits = { ofChannel: slots.widest, ofAll: free * candidatesPerSlot }
      const candidates = await selectCandidates(limits)
      const chosen = choose(candidates)
      if (chosen.size === 0) return false
      const byId = new Map([...chosen].map(([{ id }, one]) => [id, one]))
      try {
        for (const claimed of await claimChosen([...chosen.keys()])) {
          const own = claimed.find(({ id }) => byId.has(id))
          if (own === undefined) continue
          start(claimed, byId.get(own.id) as Chosen)
          byId.delete(own.id)
        }
      } finally {
        for (const { call, leave } of byId.values()) {
          call.release()
          leave()
        }
      }
      return candidates.length === limits.ofAll
    },

    /** Waits for those under way, at most `graceMs`; then they are given up and left to another replica. */
    async drain(graceMs: number): Promise<void> {
      const timer = setTimeout(() => stopping.abort(), graceMs)
      await Promise.allSettled(inFlight)
      clearTimeout(timer)
    },
  }
}
