// One attempt at one delivery, or at a group of them: reads the message and sends it. concluding.ts writes the outcome.

import { LRUCache } from 'lru-cache'
import type { Call } from '../circuit-breakers/service.ts'
import { failureReason } from '../core/failure-reason.ts'
import type { Database } from '../database/service.ts'
import { atMost } from '../kit/cache.ts'
import { coalesce } from '../kit/coalesce.ts'
import { FetchError, type GuardedFetch } from '../outbound/guarded-fetch.ts'
import { type Channel, findChannels } from './channels-store.ts'
import type { Concluding } from './concluding.ts'
import { type AlertingLog, report } from './delivery-report.ts'
import type { Destinations } from './destinations.ts'
import type { Encryption } from './encryption.ts'
import type { Lease, Leases } from './leases.ts'
import type { CheckMessage, Message } from './message.ts'
import { restChannel } from './pace-store.ts'
import type { Recipients } from './recipients.ts'
import { recorded } from './recorded.ts'
import type { SignedLinks } from './signed-links.ts'
import * as store from './store.ts'
import type { Tell } from './telling.ts'
import { DeliveryError, type Facilities, type Transport } from './transport.ts'
import { type DeliveryPolicy, healthOf, type Outcome, type Verdict } from './verdict.ts'

export type SendingOptions = {
  database: Database
  encryption: Encryption
  transports: Record<string, Transport>
  fetch: GuardedFetch
  destinations: Pick<Destinations, 'requestTimeoutMs' | 'rest'>
  facilities: Facilities
  links: Pick<SignedLinks, 'unsubscribe'>
  tell: Tell
  leases: Pick<Leases, 'hold'>
  recipients: Pick<Recipients, 'matches' | 'isConfirmed' | 'spend' | 'link'>
  conclude: Concluding
  policy: DeliveryPolicy
  now: () => number
  random: () => number
  count: (kind: string, outcome: Verdict['status'], projectId: string) => void
  observe: (kind: string, seconds: number) => void
  log: AlertingLog
}

export type Sending = ReturnType<typeof createSending>

const unreadableHint =
  "a channel's settings cannot be decrypted here: give every process on this database the same ENCRYPTION_KEY"
/** For so long its deliveries are left to processes that may have the right key. */
const unreadableForMs = 300_000
const unreadableMax = 10_000
/** How long mails wait after their project has reached its limit of the hour. */
const mailRestMs = 60_000

export const settingsContext = (channelId: string) => `channels/${channelId}`

export function createSending(options: SendingOptions) {
  const { database, encryption, transports, destinations, policy, conclude, now, random, log } = options
  const channelOf = coalesce(async (wanted: { projectId: string; channelId: string }[]) => {
    const ids = [...new Set(wanted.map(({ channelId }) => channelId))]
    const byId = new Map((await findChannels(database, null, ids)).map((channel) => [channel.id, channel]))
    return wanted.map(({ projectId, channelId }) => {
      const channel = byId.get(channelId)
      return channel?.projectId === projectId ? channel : null
    })
  })
  const unreadable = new LRUCache<string, true>({ ...atMost(unreadableMax), ttl: unreadableForMs })

  /**
   * Never rejects. `call` reports the outcome to the channel's circuit breaker. Nothing is sent once the lease is over.
   */
  async function send(
    channel: Channel,
    message: Message,
    signal: AbortSignal,
    call: Call,
    lease: Pick<Lease, 'isOver'> = endless,
  ): Promise<Outcome> {
    const outcome = await exchange(channel, message, signal, lease)
    const health = healthOf(outcome)
    if (health === null) call.release()
    else if (health.works) call.succeed()
    else call.fail(health.reason)
    const restMs = outcome.kind === 'failed' ? outcome.error.retryAfterMs : undefined
    if (restMs !== undefined) await rest(channel, Math.min(restMs, policy.maxMs))
    return outcome
  }

  async function rest(channel: Channel, ms: number): Promise<void> {
    destinations.rest(channel, ms)
    await restChannel(database, channel.id, now() + ms).catch((err) =>
      log.warn({ err, event: 'delivery.error', channel: channel.id }, 'the other replicas do not know of the rest'),
    )
  }

  async function exchange(
    channel: Channel,
    message: Message,
    signal: AbortSignal,
    lease: Pick<Lease, 'isOver'>,
  ): Promise<Outcome> {
    const timeoutMs = destinations.requestTimeoutMs(channel)
    // A process that was paused does not know that another one has taken the delivery over, and would send it a second
    // time.
    const beforeSend = () => {
      if (lease.isOver()) throw new LeaseOverError()
    }
    const fetch: GuardedFetch = (url, request) => options.fetch(url, { timeoutMs, beforeSend, ...request })
    const started = performance.now()
    try {
      const transport = transports[channel.kind]
      // Left by a newer version that was rolled back.
      if (!transport) throw new DeliveryError('this version does not know the kind of channel', { retryable: true })
      const settings = openSettings(channel)
      const recipient = transport.recipient?.(settings as never)
      const mail = recipient !== undefined && (await addressed(channel, recipient, message))
      if (mail === null) return suppressed('the recipient has not confirmed that mails are wanted at this address')
      const context = { fetch, signal, now, timeoutMs, beforeSend, facilities: options.facilities }
      const whole = { ...message, links: { ...message.links, ...mail } }
      const result = await transport.send(whole, settings as never, context)
      if (result === 'sent') return { kind: 'sent' }
      if ('forwarded' in result) return { kind: 'forwarded', channelIds: result.forwarded }
      return suppressed(result.suppressed)
    } catch (error) {
      if (error instanceof LeaseOverError) return { kind: 'interrupted', by: 'pause' }
      if (signal.aborted) return { kind: 'interrupted', by: 'shutdown' }
      return { kind: 'failed', error: toDeliveryError(error, channel.kind) }
    } finally {
      options.observe(channel.kind, (performance.now() - started) / 1000)
    }
  }

  /** The links of a mail to this recipient; null if it must not be sent. */
  async function addressed(channel: Channel, recipient: string, message: Message): Promise<Message['links'] | null> {
    const { recipients } = options
    const asks = message.event === 'notice' ? message.asks : undefined
    if (asks !== undefined && !recipients.matches(channel.projectId, recipient, asks)) return null
    const isWanted = channel.recipientConfirmed || (await recipients.isConfirmed(channel.projectId, recipient))
    if (asks === undefined && !isWanted) return null
    if (!(await recipients.spend(channel.projectId)))
      throw new DeliveryError('the project has sent as many mails within the hour as it may', {
        retryable: true,
        retryAfterMs: mailRestMs,
      })
    if (asks !== undefined) return { confirm: recipients.link(channel.projectId, recipient) }
    return { unsubscribe: options.links.unsubscribe(channel.id, recipient) }
  }

  function openSettings({ id, settings }: Channel): unknown {
    try {
      return JSON.parse(encryption.decrypt(settings, settingsContext(id)))
    } catch (cause) {
      if (!unreadable.has(id)) log.error({ event: 'channel.unreadable', channel: id }, unreadableHint)
      unreadable.set(id, true)
      throw new DeliveryError("the channel's settings cannot be decrypted", { retryable: true, cause })
    }
  }

  function toDeliveryError(error: unknown, kind: string): DeliveryError {
    if (error instanceof DeliveryError) return error
    if (error instanceof FetchError) {
      const away = error.refused ? {} : { away: failureReason(error) }
      return new DeliveryError(error.message, { retryable: !error.refused, ...away, cause: error })
    }
    log.error({ err: error, event: 'delivery.error', kind }, 'a transport failed in a way that is a bug')
    return new DeliveryError('internal error', { retryable: true, cause: error })
  }

  async function outcomeOf(
    delivery: store.ClaimedDelivery,
    channel: Channel | null,
    signal: AbortSignal,
    call: Call,
    lease: Lease,
  ): Promise<Outcome> {
    if (channel === null) return suppressed('the channel was deleted')
    if (channel.disabledAt !== null) return suppressed(store.channelOff)
    const [message, ours] = await Promise.all([options.tell(delivery), lease.begin()])
    if (ours.length === 0) return { kind: 'interrupted', by: 'pause' }
    if ('reason' in message) return { kind: 'suppressed', ...message }
    return send(channel, message, signal, call, lease)
  }

  async function outcomesOf(
    group: readonly store.ClaimedDelivery[],
    channel: Channel | null,
    signal: AbortSignal,
    call: Call,
    lease: Lease,
  ): Promise<Map<store.ClaimedDelivery, Outcome>> {
    const outcomes = new Map<store.ClaimedDelivery, Outcome>()
    const told: CheckMessage[] = []
    const off = channel === null || channel.disabledAt !== null
    const [messages, begun] = await Promise.all([
      Promise.all(group.map((delivery) => (off ? null : options.tell(delivery)))),
      lease.begin(),
    ])
    const ours = new Set(begun)
    for (const [index, delivery] of group.entries()) {
      const message = messages[index] ?? null
      if (!ours.has(delivery)) outcomes.set(delivery, { kind: 'interrupted', by: 'pause' })
      else if (message === null) outcomes.set(delivery, suppressed('the channel is switched off or deleted'))
      else if ('reason' in message) outcomes.set(delivery, { kind: 'suppressed', ...message })
      // Only changes of checks are grouped.
      else if (message.event !== 'notice') told.push(message)
    }
    // A reader who looks at colour, sound and the first names must not take an outage for a recovery.
    told.sort((a, b) => urgency(a) - urgency(b))
    const [first, ...rest] = told
    const [leader] = group as [store.ClaimedDelivery]
    if (first === undefined || channel === null) return outcomes
    const others = rest.map(({ check, flip }) => ({ check, flip }))
    const delivery = { id: leader.groupId ?? leader.id, attempt: leader.attempts }
    const whole = { ...first, delivery, ...(others.length > 0 && { others }) }
    const outcome = await send(channel, whole, signal, call, lease)
    for (const one of group) if (!outcomes.has(one)) outcomes.set(one, outcome)
    return outcomes
  }

  return {
    send,

    /** Channels whose settings could not be decrypted here lately. */
    unreadable: (): string[] => [...unreadable.keys()],

    /**
     * Never rejects: an error around the sending itself is logged, and the claim expires. The outcome is recorded even
     * if it comes late.
     */
    async attempt(delivery: store.ClaimedDelivery, signal: AbortSignal, call: Call): Promise<void> {
      const lease = options.leases.hold([delivery])
      try {
        const channel = await channelOf(delivery)
        const outcome = await outcomeOf(delivery, channel, signal, call, lease)
        const [at, chance] = [now(), random()]
        await recorded(() => conclude(delivery, channel, outcome, at, chance), signal)
      } catch (err) {
        log.error(
          { err, event: 'delivery.error', delivery: delivery.id },
          'delivery not concluded, will be tried again',
        )
      } finally {
        lease.release()
        call.release()
      }
    },

    /** As `attempt`, for several deliveries at once, in one message. */
    async attemptGroup(group: readonly store.ClaimedDelivery[], signal: AbortSignal, call: Call): Promise<void> {
      const [first] = group as [store.ClaimedDelivery]
      const lease = options.leases.hold(group)
      try {
        const channel = await channelOf(first)
        const outcomes = await outcomesOf(group, channel, signal, call, lease)
        const [at, chance] = [now(), random()]
        for (const [delivery, outcome] of outcomes)
          await recorded(() => conclude(delivery, channel, outcome, at, chance), signal)
      } catch (err) {
        log.error({ err, event: 'delivery.error', delivery: first.id }, 'deliveries not concluded, will be tried again')
      } finally {
        lease.release()
        call.release()
      }
    },

    /** Ends what waits in vain for these channels' circuit breakers: there is no attempt any more that could find it too old. */
    async expire(channelIds: readonly string[]): Promise<void> {
      const at = now()
      const lastError = 'the destination has failed for too long'
      const expired = await database.transaction((tx) =>
        store.expireDeliveries(tx, channelIds, at - policy.forMs, at, lastError),
      )
      for (const delivery of expired) {
        options.count(delivery.kind, 'dead', delivery.projectId)
        report(log, delivery, {
          status: 'dead',
          nextAttemptAt: null,
          lastError: delivery.lastError,
          disable: null,
          held: null,
        })
      }
    },
  }
}

const endless = { isOver: () => false }

const severities: CheckMessage['severity'][] = ['critical', 'warning', 'info', 'resolved']
const urgency = ({ severity }: CheckMessage) => severities.indexOf(severity)

const suppressed = (reason: string): Outcome => ({ kind: 'suppressed', reason, held: null, until: null })

class LeaseOverError extends Error {}
