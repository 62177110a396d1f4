// No destination gets messages faster than its vendor takes them, however many replicas send: the database counts what is left, under a
// lock, in the transaction that claims the deliveries.

import type { Queryable } from '../../database/connection/client.ts'
import { type Allowance, allowanceAt, type Pace } from '../../kit/pace.ts'
import { lockAllowances, writeAllowances } from './pace-store.ts'

type Destined = { channelId: string; kind: string }

export type PaceBudget = ReturnType<typeof createPace>

export function createPace({ paceOf, now }: { paceOf: (kind: string) => Pace | undefined; now: () => number }) {
  /** Channels for which nothing is left, until when. Another replica may know of more. */
  const spentUntil = new Map<string, number>()

  return {
    /** Which of these may go now, in their order. Counts only if the transaction does. */
    async spend<One extends Destined>(tx: Queryable, wanted: readonly One[]): Promise<One[]> {
      const at = now()
      const paced = new Map(wanted.flatMap(({ channelId, kind }) => entryOf(channelId, paceOf(kind))))
      if (paced.size === 0) return [...wanted]
      const before = await lockAllowances(tx, [...paced.keys()])
      const left = new Map<string, Allowance>()
      for (const [id, pace] of paced) left.set(id, allowanceAt(pace, before.get(id), at))
      const granted = wanted.filter(({ channelId }) => {
        const allowance = left.get(channelId)
        if (allowance === undefined) return true
        if (allowance.left < 1) return false
        allowance.left--
        return true
      })
      await writeAllowances(tx, left)
      for (const [id, { burst, perMinute }] of paced) {
        const missing = Math.min(1, burst) - (left.get(id)?.left ?? burst)
        if (missing > 0) spentUntil.set(id, at + (missing * 60_000) / perMinute)
      }
      return granted
    },

    /** Channels for which nothing is left, and until when. */
    spent(): [channelId: string, until: number][] {
      const at = now()
      for (const [id, until] of spentUntil) if (until <= at) spentUntil.delete(id)
      return [...spentUntil]
    },
  }
}

function entryOf(channelId: string, pace: Pace | undefined): [string, Pace][] {
  return pace === undefined ? [] : [[channelId, pace]]
}
