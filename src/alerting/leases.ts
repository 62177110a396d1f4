// A delivery that this process has claimed is its own for a while, and stays so while the process renews the lease. A claim is short: whoever
// dies or freezes before the request goes out delays it by seconds. A request that may have gone out has the longer lease, because whoever
// takes it over sends it a second time. What is held here is not claimed here again, even if its lease is over: its outcome is known soon.

import type { Database } from '../database/service.ts'
import { together } from '../database/together.ts'
import { type ClaimedDelivery, extendLeases } from './store.ts'

/** Before the request goes out: the time to read what to tell. */
const claimMaxMs = 5000
/** Clocks of replicas differ a little. */
const marginMs = 500

export type Lease = {
  /** Confirms in the database that the deliveries are still ours, and extends the lease of those that are: returns these. */
  begin(): Promise<ClaimedDelivery[]>
  isOver(): boolean
  /** What became of the deliveries is recorded, or never will be. */
  release(): void
}

export type Leases = ReturnType<typeof createLeases>

type Held = { delivery: ClaimedDelivery; until: number }

export function createLeases(options: { database: Database; leaseMs: number; now: () => number }) {
  const { database, leaseMs, now } = options
  const held = new Map<string, Held>()
  const extend = together(async (all: Held[]) => {
    const until = now() + leaseMs
    const ours = await database.transaction((tx) =>
      extendLeases(
        tx,
        all.map(({ delivery }) => delivery),
        until,
      ),
    )
    return all.map((one, index) => {
      // Somebody else has it now: nothing more is sent of it here.
      one.until = ours[index] ? until : Number.NEGATIVE_INFINITY
      return ours[index] as boolean
    })
  })

  return {
    claimMs: Math.min(claimMaxMs, leaseMs),

    hold(deliveries: readonly ClaimedDelivery[]): Lease {
      const own = deliveries.map((delivery) => ({ delivery, until: delivery.leaseUntil }))
      for (const one of own) held.set(one.delivery.id, one)
      let begun = own
      return {
        async begin() {
          const ours = await Promise.all(own.map(extend))
          begun = own.filter((_, index) => ours[index])
          return begun.map(({ delivery }) => delivery)
        },
        isOver: () => begun.some(({ until }) => now() > until - marginMs),
        release() {
          for (const { delivery } of own) held.delete(delivery.id)
        },
      }
    },

    /** Whether it, or another of its group, is in the hands of this process. */
    holds({ id, groupId }: { id: string; groupId: string | null }): boolean {
      if (held.has(id)) return true
      if (groupId === null) return false
      return [...held.values()].some(({ delivery }) => delivery.groupId === groupId)
    },

    /** Renews the leases of all that is held. */
    async renew(): Promise<void> {
      await Promise.all([...held.values()].map(extend))
    },
  }
}
