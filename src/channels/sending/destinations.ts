// What is known of the place that a channel leads to: its circuit breaker, and whether it has asked for rest. What waits for it is not claimed,
// so that no attempt is spent on it. Circuit breakers are each replica's own. Rest is kept in the database for all of them, and here besides for
// the moments until it is written; how fast a destination may be sent to is counted for all together, too, in pacing.ts.

import { createHash } from 'node:crypto'
import type { Breaker, Call, CircuitBreakers } from '../../circuit-breakers/service.ts'

export type Destination = { id: string; kind: string }

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations(options: { breakers: Pick<CircuitBreakers, 'get' | 'forget'>; now: () => number }) {
  const { breakers, now } = options
  /** Those that were not closed when last seen, by channel. */
  const ailing = new Map<string, Breaker>()
  const delayedUntil = new Map<string, number>()

  const breakerOf = ({ id, kind }: Destination) => breakers.get(breakerName({ id, kind }), kind)

  function note(id: string, breaker: Breaker): void {
    if (breaker.phase() === 'closed') ailing.delete(id)
    else ailing.set(id, breaker)
  }

  function watched(id: string, breaker: Breaker, call: Call): Call {
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
    /** Channels whose circuit breaker refuses now. */
    broken(): string[] {
      for (const [id, breaker] of ailing) note(id, breaker)
      return [...ailing].filter(([, breaker]) => !breaker.admits()).map(([id]) => id)
    },

    /** Channels whose destination has asked for a pause. */
    delayed(): string[] {
      const at = now()
      for (const [id, until] of delayedUntil) if (until <= at) delayedUntil.delete(id)
      return [...delayedUntil.keys()]
    },

    /** Null if nothing may be sent there now. */
    begin(destination: Destination): Call | null {
      if (delayedUntil.has(destination.id)) return null
      const breaker = breakerOf(destination)
      if (!breaker.admits()) return null
      const call = breaker.begin()
      return call && watched(destination.id, breaker, call)
    },

    beginAnyway(destination: Destination): Call {
      const breaker = breakerOf(destination)
      return watched(destination.id, breaker, breaker.beginAnyway())
    },

    /** The destination has asked for a pause (Retry-After), which holds for everything that is to be sent there. */
    delay(destination: Destination, ms: number): void {
      delayedUntil.set(destination.id, now() + ms)
    },

    requestTimeoutMs: (destination: Destination): number => breakerOf(destination).settings.requestTimeoutMs,

    /** The channel is gone, or leads somewhere else now. */
    forget(destination: Destination): void {
      ailing.delete(destination.id)
      delayedUntil.delete(destination.id)
      breakers.forget(breakerName(destination))
    },
  }
}

/** Opaque: the operator, who sees it, need not know whose channel it is. */
export function breakerName({ id, kind }: Destination): string {
  return `${kind}:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}
