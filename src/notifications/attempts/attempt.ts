// One attempt at one delivery, or at a group of them: composes the message and sends it. conclude.ts writes the outcome.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Channel, findChannels } from '../../channels/channels-store.ts'
import type { MessageSender } from '../../channels/sending/send.ts'
import type { BreakerCall } from '../../circuit-breakers/service.ts'
import type { Database } from '../../database/service.ts'
import { isDatabaseAway } from '../../kit/availability.ts'
import { retryDelayMs } from '../../kit/backoff.ts'
import { coalesce } from '../../kit/coalesce.ts'
import type { CheckMessage } from '../../messages/message.ts'
import type { SuppressionCode } from '../queue/delivery-columns.ts'
import type { Lease, Leases } from '../queue/leases.ts'
import * as store from '../queue/queue-store.ts'
import type { Compose } from './compose.ts'
import { type Conclude, type NotificationLog, report } from './conclude.ts'
import type { AttemptResult, DeliveryOutcome, DeliveryPolicy } from './outcome.ts'

export type AttemptOptions = {
  database: Database
  sender: Pick<MessageSender, 'send'>
  compose: Compose
  leases: Pick<Leases, 'hold'>
  conclude: Conclude
  policy: DeliveryPolicy
  now: () => number
  random: () => number
  count: (kind: string, status: DeliveryOutcome['status'], projectId: string) => void
  timed: DeliveryTiming
  log: NotificationLog
}

/** The time of an attempt, from the claim to the written outcome; `sendMs` is the part until the outcome was known. */
export type DeliveryTiming = (
  ms: number,
  attempt: { success: boolean; items: number; kind: string; delivery: string; sendMs: number },
) => void

const writeRetry = { baseMs: 100, maxMs: 2000 }
/** The pause after a failure other than an outage of the database. */
const writeFailuresMax = 10

export type Attempts = ReturnType<typeof createAttempts>

export function createAttempts(options: AttemptOptions) {
  const { database, sender, policy, conclude, now, random, log } = options
  const channelOf = coalesce(async (wanted: { projectId: string; channelId: string }[]) => {
    const ids = [...new Set(wanted.map(({ channelId }) => channelId))]
    const byId = new Map((await findChannels(database, null, ids)).map((channel) => [channel.id, channel]))
    return wanted.map(({ projectId, channelId }) => {
      const channel = byId.get(channelId)
      return channel?.projectId === projectId ? channel : null
    })
  })

  async function resultOf(
    delivery: store.ClaimedDelivery,
    channel: Channel | null,
    signal: AbortSignal,
    call: BreakerCall,
    lease: Lease,
  ): Promise<AttemptResult> {
    if (channel === null) return suppressed('channel_deleted', 'the channel was deleted')
    if (channel.disabledAt !== null) return suppressed('channel_off', store.channelOff)
    const [message, ours] = await Promise.all([options.compose(delivery), lease.begin()])
    if (ours.length === 0) return { kind: 'interrupted', by: 'pause' }
    if ('code' in message) return { kind: 'suppressed', ...message }
    return sender.send(channel, message, signal, call, lease)
  }

  async function resultsOf(
    group: readonly store.ClaimedDelivery[],
    channel: Channel | null,
    signal: AbortSignal,
    call: BreakerCall,
    lease: Lease,
  ): Promise<Map<store.ClaimedDelivery, AttemptResult>> {
    const results = new Map<store.ClaimedDelivery, AttemptResult>()
    const composed: CheckMessage[] = []
    const off = channel === null || channel.disabledAt !== null
    const offCode = channel === null ? 'channel_deleted' : 'channel_off'
    const [messages, begun] = await Promise.all([
      Promise.all(group.map((delivery) => (off ? null : options.compose(delivery)))),
      lease.begin(),
    ])
    const ours = new Set(begun)
    for (const [index, delivery] of group.entries()) {
      const message = messages[index] ?? null
      if (!ours.has(delivery)) results.set(delivery, { kind: 'interrupted', by: 'pause' })
      else if (message === null) results.set(delivery, suppressed(offCode, 'the channel is switched off or deleted'))
      else if ('code' in message) results.set(delivery, { kind: 'suppressed', ...message })
      // Only changes of checks are grouped.
      else if (message.event !== 'notice') composed.push(message)
    }
    // A reader who only notices colour, sound and the first names must not mistake an outage for a recovery.
    composed.sort((a, b) => urgency(a) - urgency(b))
    const [first, ...rest] = composed
    const [leader] = group as [store.ClaimedDelivery]
    if (first === undefined || channel === null) return results
    const others = rest.map(({ check, flip }) => ({ check, flip }))
    const delivery = { id: leader.groupId ?? leader.id, attempt: leader.attempts }
    const whole = { ...first, delivery, ...(others.length > 0 && { others }) }
    const result = await sender.send(channel, whole, signal, call, lease)
    for (const one of group) if (!results.has(one)) results.set(one, result)
    return results
  }

  /** Of one delivery, or of a group with its first. */
  function stopwatch({ id, kind }: store.ClaimedDelivery, items: number) {
    const began = performance.now()
    let sendMs = 0
    let success = false
    return {
      answered(isSuccess: boolean): void {
        sendMs = Math.round(performance.now() - began)
        success = isSuccess
      },
      written: () => options.timed(performance.now() - began, { success, items, kind, delivery: id, sendMs }),
    }
  }

  return {
    /**
     * Never rejects: an error outside of the sending itself is logged, and the claim expires. The outcome is recorded
     * even if it comes late.
     */
    async attempt(delivery: store.ClaimedDelivery, signal: AbortSignal, call: BreakerCall): Promise<void> {
      const lease = options.leases.hold([delivery])
      const watch = stopwatch(delivery, 1)
      try {
        const channel = await channelOf(delivery)
        const result = await resultOf(delivery, channel, signal, call, lease)
        watch.answered(result.kind !== 'failed')
        const [at, chance] = [now(), random()]
        await retryWrite(() => conclude(delivery, channel, result, at, chance), signal)
      } catch (err) {
        log.error(
          { err, event: 'delivery.error', delivery: delivery.id },
          'outcome of a delivery not written, will be retried',
        )
      } finally {
        lease.release()
        call.release()
        watch.written()
      }
    },

    /** As `attempt`, for several deliveries at once, in one message. */
    async attemptGroup(group: readonly store.ClaimedDelivery[], signal: AbortSignal, call: BreakerCall): Promise<void> {
      const [first] = group as [store.ClaimedDelivery]
      const lease = options.leases.hold(group)
      const watch = stopwatch(first, group.length)
      try {
        const channel = await channelOf(first)
        const results = await resultsOf(group, channel, signal, call, lease)
        watch.answered([...results.values()].every(({ kind }) => kind !== 'failed'))
        const [at, chance] = [now(), random()]
        for (const [delivery, result] of results)
          await retryWrite(() => conclude(delivery, channel, result, at, chance), signal)
      } catch (err) {
        log.error(
          { err, event: 'delivery.error', delivery: first.id },
          'outcomes of deliveries not written, will be retried',
        )
      } finally {
        lease.release()
        call.release()
        watch.written()
      }
    },

    /**
     * Gives up old deliveries that wait for the open circuit breakers of these channels: they make no attempts, so
     * nothing else would end them.
     */
    async expire(channelIds: readonly string[]): Promise<void> {
      const at = now()
      const detail = 'the destination has failed for too long'
      const expired = await database.transaction((tx) =>
        store.expireDeliveries(tx, channelIds, at - policy.forMs, at, detail),
      )
      for (const delivery of expired) {
        options.count(delivery.kind, 'dead', delivery.projectId)
        report(log, delivery, {
          status: 'dead',
          nextAttemptAt: null,
          detail: delivery.detail,
          disable: null,
          suppression: null,
        })
      }
    },
  }
}

const severities: CheckMessage['severity'][] = ['critical', 'warning', 'info', 'resolved']
const urgency = ({ severity }: CheckMessage) => severities.indexOf(severity)

const suppressed = (code: SuppressionCode, detail: string): AttemptResult => ({
  kind: 'suppressed',
  code,
  detail,
  until: null,
})

/**
 * A message that was sent must not be sent again because the database fails while its outcome is recorded: the write is
 * retried until the database is back. Rejects with the error of `write` once the signal has aborted, or if waiting does
 * not help.
 */
async function retryWrite(write: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let failures = 1; ; failures++) {
    try {
      return await write()
    } catch (error) {
      if (signal.aborted || (!isDatabaseAway(error) && failures >= writeFailuresMax)) throw error
      await sleep(retryDelayMs(writeRetry, failures, 1), undefined, { signal }).catch(() => undefined)
    }
  }
}
