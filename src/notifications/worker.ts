// Step two: due deliveries are claimed and sent. A claim is a compare-and-set that takes a lease (leases.ts): if the
// process dies, another one claims the delivery once the lease has expired. Nothing is claimed for a channel that may not
// send now (gate.ts).

import type { Slots } from '../channels/sending/slots.ts'
import type { Database } from '../database/service.ts'
import type { Attempts } from './attempts/attempt.ts'
import type { Gate, SendPermit } from './gate.ts'
import { claimGroup } from './queue/groups-store.ts'
import type { Leases } from './queue/leases.ts'
import * as store from './queue/queue-store.ts'

const candidatesPerSlot = 4
const expireEveryMs = 10_000

export type WorkerOptions = {
  database: Database
  now: () => number
  slots: Pick<Slots, 'free' | 'widest'>
  leases: Pick<Leases, 'claimMs' | 'holds'>
  gate: Gate
  attempts: Pick<Attempts, 'attempt' | 'attemptGroup' | 'expire'>
  traced: (deliveries: readonly store.ClaimedDelivery[], attempt: () => Promise<void>) => Promise<void>
  /** Called whenever a slot is free again. */
  onFree: () => void
}

export function createWorker(options: WorkerOptions) {
  const { database, now, slots, leases, gate, attempts, onFree } = options
  const inFlight = new Set<Promise<void>>()
  const stopping = new AbortController()
  let expireAt = Number.NEGATIVE_INFINITY

  function start(deliveries: readonly store.ClaimedDelivery[], { call, leave }: SendPermit): void {
    const [delivery] = deliveries as [store.ClaimedDelivery]
    const { signal } = stopping
    const sent = options.traced(deliveries, () =>
      delivery.groupId ? attempts.attemptGroup(deliveries, signal, call) : attempts.attempt(delivery, signal, call),
    )
    const attempt = sent.finally(() => {
      inFlight.delete(attempt)
      leave()
      onFree()
    })
    inFlight.add(attempt)
  }

  /** Chooses candidates in order, as far as the gate lets them through. */
  function choose(candidates: readonly store.DueDelivery[]): Map<store.DueDelivery, SendPermit> {
    const chosen = new Map<store.DueDelivery, SendPermit>()
    const groups = new Set<string>()
    for (const candidate of candidates) {
      const { groupId } = candidate
      if (groupId !== null && groups.has(groupId)) continue
      const admission = leases.holds(candidate) ? null : gate.enter(candidate)
      if (admission === null) continue
      if (groupId !== null) groups.add(groupId)
      chosen.set(candidate, admission)
    }
    return chosen
  }

  /** Claims those that the pace allows and that no other replica has claimed meanwhile: each by itself, or with its group. */
  async function claimChosen(chosen: readonly store.DueDelivery[]): Promise<store.ClaimedDelivery[][]> {
    const at = now()
    const leaseUntil = at + leases.claimMs
    return database.transaction(async (tx) => {
      const granted = await gate.keepPace(tx, chosen)
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
    await expire(gate.broken())
    return store.selectDue(database, now(), gate.closed(), limits)
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
          start(claimed, byId.get(own.id) as SendPermit)
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
