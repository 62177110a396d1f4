// A circuit breaker for each channel. What waits for one that refuses is not claimed, so that no attempt is spent on it.

import { createHash } from 'node:crypto'
import type { Breaker, Call, CircuitBreakers } from '../circuit-breakers/service.ts'

export type Destination = { id: string; kind: string }

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations(breakers: Pick<CircuitBreakers, 'get' | 'forget'>) {
  /** Those that were not closed when last seen, by channel. */
  const ailing = new Map<string, Breaker>()

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
    /** Channels to which nothing may be sent now. */
    resting(): string[] {
      for (const [id, breaker] of ailing) note(id, breaker)
      return [...ailing].filter(([, breaker]) => !breaker.admits()).map(([id]) => id)
    },

    /** Null if nothing may be sent there now. */
    begin(destination: Destination): Call | null {
      const breaker = breakerOf(destination)
      const call = breaker.admits() ? breaker.begin() : null
      return call && watched(destination.id, breaker, call)
    },

    beginAnyway(destination: Destination): Call {
      const breaker = breakerOf(destination)
      return watched(destination.id, breaker, breaker.beginAnyway())
    },

    requestTimeoutMs: (destination: Destination): number => breakerOf(destination).settings.requestTimeoutMs,

    /** The channel is gone, or leads somewhere else now. */
    forget(destination: Destination): void {
      ailing.delete(destination.id)
      breakers.forget(breakerName(destination))
    },
  }
}

/** Opaque: the operator, who sees it, need not know whose channel it is. */
export function breakerName({ id, kind }: Destination): string {
  return `${kind}:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}
