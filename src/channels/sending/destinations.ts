// What this replica knows of the destination of a channel: its circuit breaker, and the pause for which it has asked (Retry-After). Circuit
// breakers are each replica's own. A pause is in the database for all replicas, and here as well until it is written.

import { createHash } from 'node:crypto'
import type { Breaker, BreakerCall, CircuitBreakers } from '../../circuit-breakers/service.ts'

export type Destination = { id: string; kind: string }

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations(options: { breakers: Pick<CircuitBreakers, 'get' | 'forget'>; now: () => number }) {
  const { breakers, now } = options
  /** Circuit breakers that were not closed when last seen, by channel. */
  const unhealthy = new Map<string, Breaker>()
  const delayedUntil = new Map<string, number>()

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
    /** Channels whose circuit breaker refuses now, and until when. */
    broken(): [channelId: string, until: number | null][] {
      for (const [id, breaker] of unhealthy) note(id, breaker)
      return [...unhealthy].flatMap(([id, breaker]) => (breaker.admits() ? [] : [[id, breaker.retryAt()]]))
    },

    /** Channels whose destination has asked for a pause (Retry-After), and until when. */
    delayed(): [channelId: string, until: number][] {
      const at = now()
      for (const [id, until] of delayedUntil) if (until <= at) delayedUntil.delete(id)
      return [...delayedUntil]
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

    /** The channel is gone, or leads somewhere else now. */
    forget(destination: Destination): void {
      unhealthy.delete(destination.id)
      delayedUntil.delete(destination.id)
      breakers.forget(breakerName(destination))
    },
  }
}

/** Opaque: the operator, who sees it, need not know whose channel it is. */
export function breakerName({ id, kind }: Destination): string {
  return `${kind}:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}
