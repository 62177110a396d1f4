// Whether a channel may send now, and if not, until when and why. A delivery that has to wait is not claimed, so it
// spends no attempt. Slots, circuit breakers and undecryptable settings are known to each replica alone; the database
// coordinates pauses that destinations ask for (Retry-After) and the pace of vendors for all replicas.

import type { Destinations } from '../channels/sending/destinations.ts'
import type { MessageSender } from '../channels/sending/send.ts'
import type { SlotRequest, Slots } from '../channels/sending/slots.ts'
import type { BreakerCall } from '../circuit-breakers/service.ts'
import type { Queryable } from '../database/connection/client.ts'
import type { Busy } from './queue/queue-store.ts'

export type WaitReason = 'slot' | 'circuit_breaker' | 'retry_after' | 'pace' | 'encryption_key'

/** `until` is null if the time is not known, for example for a slot. */
export type SendWait = { reason: WaitReason; until: number | null }

/** The right to send one message: `call` reports the result, `leave` returns the slot. */
export type SendPermit = { call: BreakerCall; leave: () => void }

export type Gate = ReturnType<typeof createGate>

export function createGate(options: {
  slots: Pick<Slots, 'isFree' | 'busy' | 'take'>
  destinations: Pick<Destinations, 'begin' | 'broken' | 'delayed' | 'keepPace' | 'overPace'>
  sender: Pick<MessageSender, 'unreadable'>
}) {
  const { slots, destinations, sender } = options

  /** Channels that wait for something other than a slot. If several reasons apply, the last one added is shown. */
  function waits(): Map<string, SendWait> {
    const all = new Map<string, SendWait>()
    const add = (reason: WaitReason, channels: Iterable<[channelId: string, until: number | null]>) => {
      for (const [channelId, until] of channels) all.set(channelId, { reason, until })
    }
    add('pace', destinations.overPace())
    add('retry_after', destinations.delayed())
    add('circuit_breaker', destinations.broken())
    add('encryption_key', sender.unreadable())
    return all
  }

  return {
    /** Null if the channel may send now. `retryAfterAt` is the pause of its destination, by the database. */
    waitOf(request: SlotRequest, retryAfterAt: number | null, now: number): SendWait | null {
      const wait = waits().get(request.channelId)
      if (wait !== undefined) return wait
      if (retryAfterAt !== null && retryAfterAt > now) return { reason: 'retry_after', until: retryAfterAt }
      return slots.isFree(request) ? null : { reason: 'slot', until: null }
    },

    /**
     * What cannot be claimed now: channels, and kinds, projects and pairs of both that use their share of the slots.
     */
    closed(): Busy {
      const busy = slots.busy()
      return { ...busy, channels: [...busy.channels, ...waits().keys()] }
    },

    /** Channels whose circuit breaker is open. */
    broken: (): string[] => destinations.broken().map(([channelId]) => channelId),

    /** Null if nothing may be sent now. */
    enter(request: SlotRequest): SendPermit | null {
      if (!slots.isFree(request)) return null
      const call = destinations.begin({ id: request.channelId, kind: request.kind })
      if (call === null) return null
      const { watched, leave } = slots.take(request, call)
      return { call: watched, leave }
    },

    /** Which of these the pace of their vendors allows now. The count is part of the transaction. */
    keepPace: <One extends SlotRequest>(tx: Queryable, wanted: readonly One[]): Promise<One[]> =>
      destinations.keepPace(tx, wanted),
  }
}
