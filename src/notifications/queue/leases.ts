// A delivery that this process has claimed belongs to it while it renews the lease. The lease of a claim is short: a
// process that dies or freezes before the request is sent delays the delivery by seconds. Once the request may have
// been sent the lease is longer, because the process that takes over sends the message a second time. A delivery that
// this process holds is not claimed here again, even if its lease has expired: its outcome will be known soon.

import type { Database } from '../../database/service.ts'
import { coalesce } from '../../kit/coalesce.ts'
import { type ClaimedDelivery, extendLeases } from './queue-store.ts'

/** Before the request goes out, there is only the message to read from the database. */
const claimMaxMs = 5000
/** Clocks of replicas differ a little. */
const marginMs = 500

export type Lease = {
  /** Confirms in the database which deliveries this process still holds, extends their leases, and returns them. */
  begin(): Promise<ClaimedDelivery[]>
  isOver(): boolean
  /** Call it when the outcome of the deliveries is recorded, or can no longer be recorded. */
  release(): void
}

export type Leases = ReturnType<typeof createLeases>

type Held = { delivery: ClaimedDelivery; until: number }

export function createLeases(options: { database: Database; leaseMs: number; now: () => number }) {
  const { database, leaseMs, now } = options
  const held = new Map<string, Held>()
  const extend = coalesce(async (all: Held[]) => {
    const until = now() + leaseMs
    const ours = await database.transaction((tx) =>
      extendLeases(
        tx,
        all.map(({ delivery }) => delivery),
        until,
      ),
    )
    return all.map((one, index) => {
      // Another process has claimed it: this one must not send it any more.
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

    /** Whether this process holds the delivery or another one of its group. */
    holds({ id, groupId }: { id: string; groupId: string | null }): boolean {
      if (held.has(id)) return true
      if (groupId === null) return false
      return [...held.values()].some(({ delivery }) => delivery.groupId === groupId)
    },

    /** Renews the leases of all deliveries that this process holds. */
    async renew(): Promise<void> {
      await Promise.all([...held.values()].map(extend))
    },
  }
}
