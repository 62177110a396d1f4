// A circuit breaker for each channel, and the pace that its kind of destination takes. What waits for one that refuses, or that has had
// its share of this minute, is not claimed, so that no attempt is spent on it. Each replica keeps the pace by itself.

import { createHash } from 'node:crypto'
import type { Breaker, Call, CircuitBreakers } from '../circuit-breakers/service.ts'

export type Destination = { id: string; kind: string }

export type Destinations = ReturnType<typeof createDestinations>

const minuteMs = 60_000

export function createDestinations(options: {
  breakers: Pick<CircuitBreakers, 'get' | 'forget'>
  /** Messages within a minute that a destination of this kind takes; undefined is any number. */
  perMinute: (kind: string) => number | undefined
  now: () => number
}) {
  const { breakers, perMinute, now } = options
  /** When something was sent within the last minute, by channel of a kind that has a pace. */
  const sent = new Map<string, number[]>()
  /** Channels that have had their share, with their kinds. */
  const full = new Map<string, string>()
  /** Those that were not closed when last seen, by channel. */
  const ailing = new Map<string, Breaker>()

  function lately(id: string): number[] {
    const times = (sent.get(id) ?? []).filter((at) => at > now() - minuteMs)
    if (times.length === 0) sent.delete(id)
    else sent.set(id, times)
    return times
  }

  const hasPace = ({ id, kind }: Destination) => lately(id).length < (perMinute(kind) ?? Number.POSITIVE_INFINITY)

  function step({ id, kind }: Destination): void {
    if (perMinute(kind) !== undefined) sent.set(id, [...lately(id), now()])
    if (!hasPace({ id, kind })) full.set(id, kind)
  }

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

    /** Channels that have had their share of this minute. */
    paced(): string[] {
      for (const [id, kind] of full) if (hasPace({ id, kind })) full.delete(id)
      return [...full.keys()]
    },

    /** Null if nothing may be sent there now. */
    begin(destination: Destination): Call | null {
      const breaker = breakerOf(destination)
      const call = hasPace(destination) && breaker.admits() ? breaker.begin() : null
      if (call) step(destination)
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
      sent.delete(destination.id)
      full.delete(destination.id)
      breakers.forget(breakerName(destination))
    },
  }
}

/** Opaque: the operator, who sees it, need not know whose channel it is. */
export function breakerName({ id, kind }: Destination): string {
  return `${kind}:${createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}
