// One exchange with the destination of a channel: decrypts the settings, checks that a recipient wants mails, and lets
// the transport send.

import { LRUCache } from 'lru-cache'
import type { BreakerCall } from '../../circuit-breakers/service.ts'
import { failureReason } from '../../core/failure-reason.ts'
import type { Database } from '../../database/service.ts'
import { atMost } from '../../kit/cache.ts'
import type { Message } from '../../messages/message.ts'
import { FetchError, type GuardedFetch } from '../../outbound/guarded-fetch.ts'
import type { Channel } from '../channels-store.ts'
import type { Recipients } from '../recipients/recipients.ts'
import type { UnsubscribeLinks } from '../recipients/unsubscribe-links.ts'
import { type Encryption, settingsContext } from '../secrets/encryption.ts'
import { type Capabilities, DeliveryError, type Transport } from '../wire/transport.ts'
import type { Destinations } from './destinations.ts'
import { delayChannel } from './destinations-store.ts'

/**
 * Interrupted: the process stops, and it is unknown whether the destination has the message, or the process was paused
 * for so long that its lease expired. Forwarded: other channels are to send the message.
 */
export type SendResult =
  | { kind: 'sent' }
  | { kind: 'forwarded'; channelIds: readonly string[] }
  | { kind: 'suppressed'; code: 'unconfirmed' | 'settings'; detail: string; until: null }
  | { kind: 'failed'; error: DeliveryError }
  | { kind: 'interrupted'; by: 'shutdown' | 'pause' }

/** Whether the caller may still send. */
type SendLease = { isOver(): boolean }

export type SenderLog = {
  warn(o: object, message: string): void
  error(o: object, message: string): void
}

export type SenderOptions = {
  database: Database
  encryption: Encryption
  transports: Record<string, Transport>
  fetch: GuardedFetch
  destinations: Pick<Destinations, 'requestTimeoutMs' | 'delay'>
  capabilities: Capabilities
  links: Pick<UnsubscribeLinks, 'link'>
  recipients: Pick<Recipients, 'matches' | 'isConfirmed' | 'spend' | 'link'>
  /** A destination that asks for a longer pause gets this one. */
  retryAfterMaxMs: number
  now: () => number
  observe: (kind: string, seconds: number) => void
  log: SenderLog
}

export type MessageSender = ReturnType<typeof createSender>

const unreadableHint =
  "a channel's settings cannot be decrypted here: give every process on this database the same ENCRYPTION_KEY"
/** How long deliveries of an undecryptable channel are left to processes that may have its key. */
const unreadableForMs = 300_000
const unreadableMax = 10_000
/** How long mails wait after their project has reached its limit of the hour. */
const mailPauseMs = 60_000

export function createSender(options: SenderOptions) {
  const { database, encryption, transports, destinations, now, log } = options
  /** When each channel may be tried again here. */
  const unreadable = new LRUCache<string, number>({ ...atMost(unreadableMax), ttl: unreadableForMs })

  async function delay(channel: Channel, ms: number): Promise<void> {
    destinations.delay(channel, ms)
    await delayChannel(database, channel.id, now() + ms).catch((err) =>
      log.warn(
        { err, event: 'delivery.error', channel: channel.id },
        'Retry-After of a destination not stored for other replicas',
      ),
    )
  }

  async function exchange(
    channel: Channel,
    message: Message,
    signal: AbortSignal,
    lease: SendLease,
  ): Promise<SendResult> {
    const timeoutMs = destinations.requestTimeoutMs(channel)
    // A process that was paused does not know that another one has taken over the delivery, and would send it a second
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
      const mail = recipient !== undefined && (await mailLinks(channel, recipient, message))
      if (mail === null)
        return suppressed('unconfirmed', 'the recipient has not confirmed that mails are wanted at this address')
      const context = { fetch, signal, now, timeoutMs, beforeSend, capabilities: options.capabilities }
      const whole = { ...message, links: { ...message.links, ...mail } }
      const result = await transport.send(whole, settings as never, context)
      if (result === 'sent') return { kind: 'sent' }
      if ('forwarded' in result) return { kind: 'forwarded', channelIds: result.forwarded }
      return suppressed('settings', result.suppressed)
    } catch (error) {
      if (error instanceof LeaseOverError) return { kind: 'interrupted', by: 'pause' }
      if (signal.aborted) return { kind: 'interrupted', by: 'shutdown' }
      return { kind: 'failed', error: toDeliveryError(error, channel.kind) }
    } finally {
      options.observe(channel.kind, (performance.now() - started) / 1000)
    }
  }

  /** The links of a mail to this recipient; null if it must not be sent. */
  async function mailLinks(channel: Channel, recipient: string, message: Message): Promise<Message['links'] | null> {
    const { recipients } = options
    const asks = message.event === 'notice' ? message.asks : undefined
    if (asks !== undefined && !recipients.matches(channel.projectId, recipient, asks)) return null
    const isWanted = channel.recipientConfirmed || (await recipients.isConfirmed(channel.projectId, recipient))
    if (asks === undefined && !isWanted) return null
    if (!(await recipients.spend(channel.projectId)))
      throw new DeliveryError('the project has sent as many mails within the hour as it may', {
        retryable: true,
        retryAfterMs: mailPauseMs,
      })
    if (asks !== undefined) return { confirm: recipients.link(channel.projectId, recipient) }
    return { unsubscribe: options.links.link(channel.id, recipient) }
  }

  function openSettings({ id, settings }: Channel): unknown {
    try {
      return JSON.parse(encryption.decrypt(settings, settingsContext(id)))
    } catch (cause) {
      if (!unreadable.has(id)) log.error({ event: 'channel.unreadable', channel: id }, unreadableHint)
      unreadable.set(id, now() + unreadableForMs)
      throw new DeliveryError("the channel's settings cannot be decrypted", { retryable: true, cause })
    }
  }

  function toDeliveryError(error: unknown, kind: string): DeliveryError {
    if (error instanceof DeliveryError) return error
    if (error instanceof FetchError) {
      const unreachable = error.refused ? {} : { unreachable: failureReason(error) }
      return new DeliveryError(error.message, { retryable: !error.refused, ...unreachable, cause: error })
    }
    log.error({ err: error, event: 'delivery.error', kind }, 'a transport failed unexpectedly')
    return new DeliveryError('internal error', { retryable: true, cause: error })
  }

  return {
    /**
     * Never rejects. `call` reports the result to the channel's circuit breaker. Nothing is sent once the lease is over.
     */
    async send(
      channel: Channel,
      message: Message,
      signal: AbortSignal,
      call: BreakerCall,
      lease: SendLease = endless,
    ): Promise<SendResult> {
      const result = await exchange(channel, message, signal, lease)
      const health = healthOf(result)
      if (health === null) call.release()
      else if (health.works) call.succeed()
      else call.fail(health.reason)
      const retryAfterMs = result.kind === 'failed' ? result.error.retryAfterMs : undefined
      if (retryAfterMs !== undefined) await delay(channel, Math.min(retryAfterMs, options.retryAfterMaxMs))
      return result
    },

    /** Channels whose settings could not be decrypted here, and until when they are left to other processes. */
    unreadable: (): [channelId: string, until: number][] => [...unreadable.entries()],
  }
}

/**
 * What a result says about the destination: it works, it fails and why, or nothing. A refusal of the request is an
 * answer.
 */
function healthOf(result: SendResult): { works: true } | { works: false; reason: string } | null {
  if (result.kind === 'sent') return { works: true }
  if (result.kind !== 'failed') return null
  const { status, unreachable } = result.error
  if (unreachable !== undefined) return { works: false, reason: unreachable }
  if (status === undefined) return null
  return status < 500 ? { works: true } : { works: false, reason: `http_${status}` }
}

const endless = { isOver: () => false }

function suppressed(code: 'unconfirmed' | 'settings', detail: string): SendResult {
  return { kind: 'suppressed', code, detail, until: null }
}

class LeaseOverError extends Error {}
