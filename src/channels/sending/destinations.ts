// What prevents messages to the destination of a channel: its circuit breaker, the pause that it has asked for
// (Retry-After), and the pace of its vendor. Each replica has its own circuit breakers. A pause is in the database for
// all replicas, and also here until it is written. All replicas share the pace: the database counts what is left, under
// a lock, in the transaction that claims the deliveries.

import { createHash } from 'node:crypto'
import type { Breaker, BreakerCall, CircuitBreakers } from '../../circuit-breakers/service.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { type Allowance, allowanceAt, type Pace } from '../../kit/pace.ts'
import { lockAllowances, writeAllowances } from './destinations-store.ts'

export type Destination = { id: string; kind: string }
type Destined = { channelId: string; kind: string }

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations(options: {
  breakers: Pick<CircuitBreakers, 'get' | 'forget'>
  paceOf: (kind: string) => Pace | undefined
  now: () => number
}) {
  const { breakers, paceOf, now } = options
  /** Circuit breakers that were not closed when last seen, by channel. */
  const unhealthy = new Map<string, Breaker>()
  const delayedUntil = new Map<string, number>()
  /** Channels whose pace allows no message, and until when. Another replica may know of more. */
  const overPaceUntil = new Map<string, number>()

  const breakerOf = ({ id, kind }: Destination) => breakers.get(breakerName({ id, kind }), kind)

  function note(id: string, breaker: Breaker): void {
    if (breaker.phase() === 'closed') unhealthy.delete(id)
    else unhealthy.set(id, breaker)
  }

  function watched(id: string, breaker: Breaker, call: BreakerCall): BreakerCall {
    note(id, breaker)
    return {
      ...call,
      fail(reason) {
        call.fail(reason)
        note(id, breaker)
      },
    }
  }

  return {
    /** Channels whose circuit breaker currently refuses, and until when. */
    broken(): [channelId: string, until: number | null][] {
      for (const [id, breaker] of unhealthy) note(id, breaker)
      return [...unhealthy].flatMap(([id, breaker]) => (breaker.admits() ? [] : [[id, breaker.retryAt()]]))
    },

    /** Channels whose destination has asked for a pause (Retry-After), and until when. */
    delayed(): [channelId: string, until: number][] {
      return current(delayedUntil, now())
    },

    /** Channels whose pace allows no message, and until when. */
    overPace(): [channelId: string, until: number][] {
      return current(overPaceUntil, now())
    },

    /** Which of these the pace of their vendors allows now, in their order. The count is part of the transaction. */
    async keepPace<One extends Destined>(tx: Queryable, wanted: readonly One[]): Promise<One[]> {
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
        if (missing > 0) overPaceUntil.set(id, at + (missing * 60_000) / perMinute)
      }
      return granted
    },

    /** Null if nothing may be sent there now. */
    begin(destination: Destination): BreakerCall | null {
      if (delayedUntil.has(destination.id)) return null
      const breaker = breakerOf(destination)
      if (!breaker.admits()) return null
      const call = breaker.begin()
      return call && watched(destination.id, breaker, call)
    },

    beginAnyway(destination: Destination): BreakerCall {
      const breaker = breakerOf(destination)
      return watched(destination.id, breaker, breaker.beginAnyway())
    },

    /** The destination has asked for a pause (Retry-After), which holds for everything that is to be sent there. */
    delay(destination: Destination, ms: number): void {
      delayedUntil.set(destination.id, now() + ms)
    },

    requestTimeoutMs: (destination: Destination): number => breakerOf(destination).settings.requestTimeoutMs,

    /** The channel is gone, or has another destination now. */
    forget(destination: Destination): void {
      unhealthy.delete(destination.id)
      delayedUntil.delete(destination.id)
      breakers.forget(breakerName(destination))
    },
  }
}

/** The channels whose time has not come; drops the others. */
function current(until: Map<string, number>, at: number): [channelId: string, until: number][] {
  for (const [id, end] of until) if (end <= at) until.delete(id)
  return [...until]
}

function entryOf(channelId: string, pace: Pace | undefined): [string, Pace][] {
  return pace === undefined ? [] : [[channelId, pace]]
}

/** Opaque: the operator, who sees it, need not know whose channel it is. */
export function breakerName({ id, kind }: Destination): string {
  return `${kind}:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}
