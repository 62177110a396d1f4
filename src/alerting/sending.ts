// One attempt at one delivery: reads what is to be told, sends it, and writes what came of it.

import type { WriteAudit } from '../audit/store.ts'
import type { Call } from '../circuit-breakers/service.ts'
import { failureReason } from '../core/failure-reason.ts'
import { isoMillis } from '../core/instant.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import { type Channel, disableChannel, findChannel } from './channels-store.ts'
import type { Destinations } from './destinations.ts'
import type { Encryption } from './encryption.ts'
import { insertFollowUp } from './following-store.ts'
import { FetchError, type GuardedFetch } from './guarded-fetch.ts'
import type { Message } from './message.ts'
import { insertNotice } from './notices-store.ts'
import { leaveToRecovery, takeBackOutage } from './order-store.ts'
import * as store from './store.ts'
import { eventOf, type Tell } from './telling.ts'
import { DeliveryError, type Transport } from './transport.ts'
import { type DeliveryPolicy, healthOf, judge, type Outcome, type Verdict } from './verdict.ts'

export type AlertingLog = {
  info(o: object, message: string): void
  warn(o: object, message: string): void
  error(o: object, message: string): void
}

export type SendingOptions = {
  database: Database
  encryption: Encryption
  transports: Record<string, Transport>
  fetch: GuardedFetch
  destinations: Pick<Destinations, 'requestTimeoutMs'>
  writeAudit: WriteAudit
  tell: Tell
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

export const settingsContext = (channelId: string) => `channels/${channelId}`

export function createSending(options: SendingOptions) {
  const { database, encryption, transports, destinations, policy, now, random, log } = options
  const unreadable = new Map<string, number>()

  /** Never rejects. The channel's circuit breaker learns by `call` what came of it. Nothing is sent that might outlast the lease. */
  async function send(
    channel: Channel,
    message: Message,
    signal: AbortSignal,
    call: Call,
    leaseUntil = Number.POSITIVE_INFINITY,
  ): Promise<Outcome> {
    const outcome = await exchange(channel, message, signal, leaseUntil)
    const health = healthOf(outcome)
    if (health === null) call.release()
    else if (health.works) call.succeed()
    else call.fail(health.reason)
    return outcome
  }

  async function exchange(
    channel: Channel,
    message: Message,
    signal: AbortSignal,
    leaseUntil: number,
  ): Promise<Outcome> {
    const timeoutMs = destinations.requestTimeoutMs(channel)
    // A process that was paused does not know that another one has taken over, and would repeat what that one has told.
    const checkLease = () => {
      if (now() + timeoutMs > leaseUntil) throw new LeaseOverError()
    }
    const fetch: GuardedFetch = async (url, request) => {
      checkLease()
      return options.fetch(url, { timeoutMs, ...request })
    }
    const started = performance.now()
    try {
      const transport = transports[channel.kind]
      // Left by a newer version that was rolled back.
      if (!transport) throw new DeliveryError('this version does not know the kind of channel', { retryable: true })
      const settings = openSettings(channel)
      checkLease()
      const result = await transport.send(message, settings as never, { fetch, signal, now })
      return result === 'sent' ? { kind: 'sent' } : suppressed(result.suppressed)
    } catch (error) {
      if (error instanceof LeaseOverError) return { kind: 'interrupted', by: 'pause' }
      if (signal.aborted) return { kind: 'interrupted', by: 'shutdown' }
      return { kind: 'failed', error: toDeliveryError(error, channel.kind) }
    } finally {
      options.observe(channel.kind, (performance.now() - started) / 1000)
    }
  }

  function openSettings({ id, settings }: Channel): unknown {
    try {
      return JSON.parse(encryption.decrypt(settings, settingsContext(id)))
    } catch (cause) {
      if (!unreadable.has(id)) log.error({ event: 'channel.unreadable', channel: id }, unreadableHint)
      if (unreadable.size >= unreadableMax) unreadable.clear()
      unreadable.set(id, performance.now() + unreadableForMs)
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
  ): Promise<Outcome> {
    if (channel === null) return suppressed('the channel was deleted')
    if (channel.disabledAt !== null) return suppressed('the channel is switched off')
    const message = await options.tell(delivery)
    if ('reason' in message) return { kind: 'suppressed', ...message }
    return send(channel, message, signal, call, delivery.leaseUntil)
  }

  async function conclude(delivery: store.ClaimedDelivery, channel: Channel | null, outcome: Outcome): Promise<void> {
    const at = now()
    const verdict = judge(outcome, delivery, policy, at, random())
    const reason = verdict.disable
    const { written, disabled } = await database.transaction(async (tx) => {
      const written = await store.writeVerdict(tx, delivery, verdict, at)
      if (written && delivery.event === 'down' && verdict.status === 'retrying')
        await leaveToRecovery(tx, [delivery.monitorId], at)
      if (written && channel !== null && ['sent', 'dead'].includes(verdict.status))
        await follow(tx, delivery, channel, at)
      if (written && delivery.event === 'up' && verdict.status === 'suppressed') await takeBackOutage(tx, delivery, at)
      const disabled = reason !== null && channel !== null && (await switchOff(tx, channel, reason, at))
      return { written, disabled }
    })
    if (disabled)
      log.warn({ event: 'channel.disabled', channel: delivery.channelId, reason }, 'channel switched off for good')
    if (!written) return
    options.count(delivery.kind, verdict.status, delivery.projectId)
    report(log, delivery, verdict)
  }

  /** While an outage goes on and nobody acknowledges it: the next reminder, and whoever is to hear of it then. */
  async function follow(tx: Queryable, delivery: store.ClaimedDelivery, channel: Channel, at: number): Promise<void> {
    const event = eventOf(delivery)
    if (event === 'up' || delivery.notice !== null) return
    const { remind_every: every, escalate } = channel.alerts ?? {}
    if (every !== undefined) {
      const reminder = `reminder:${Number(/:(\d+)$/.exec(delivery.event)?.[1] ?? 0) + 1}`
      await insertFollowUp(tx, delivery, { channelId: channel.id, event: reminder, due: at + every * 1000 }, at)
    }
    if (escalate && event !== 'reminder') {
      const next = { channelId: escalate.to, event: 'escalation', due: at + escalate.after * 1000 }
      await insertFollowUp(tx, delivery, next, at)
    }
  }

  /** For good, and the project's other channels say so. False if it is off already, or leads somewhere else now. */
  async function switchOff(tx: Queryable, channel: Channel, reason: string, at: number): Promise<boolean> {
    if (!(await disableChannel(tx, channel, reason))) return false
    const { id, projectId, kind, name } = channel
    await options.writeAudit(tx, {
      projectId,
      actor: 'system',
      action: 'channel.disable',
      target: id,
      detail: { reason },
    })
    const title = `The channel ${name} is switched off`
    const text = `The channel ${name} (${kind}) ${reason}, which means that nothing will arrive there any more. Give it new settings.`
    await insertNotice(
      tx,
      { projectId, about: id, seq: Math.floor(at / 1000), text: { level: 'WARNING', title, text } },
      at,
    )
    return true
  }

  return {
    send,

    /** Channels whose settings could not be decrypted here lately. */
    unreadable(): string[] {
      for (const [id, until] of unreadable) if (until < performance.now()) unreadable.delete(id)
      return [...unreadable.keys()]
    },

    /** Never rejects: what goes wrong around the sending itself is logged, and the claim runs out. */
    async attempt(delivery: store.ClaimedDelivery, signal: AbortSignal, call: Call): Promise<void> {
      try {
        const channel = await findChannel(database.prisma, delivery.projectId, delivery.channelId)
        await conclude(delivery, channel, await outcomeOf(delivery, channel, signal, call))
      } catch (err) {
        log.error(
          { err, event: 'delivery.error', delivery: delivery.id },
          'delivery not concluded, will be tried again',
        )
      } finally {
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

const suppressed = (reason: string): Outcome => ({ kind: 'suppressed', reason, held: null, until: null })

class LeaseOverError extends Error {}

function report(
  log: AlertingLog,
  delivery: Pick<store.ClaimedDelivery, 'id' | 'channelId' | 'kind' | 'attempts' | 'requestId'>,
  verdict: Verdict,
): void {
  const { status, lastError: reason, nextAttemptAt } = verdict
  const line = {
    event: `delivery.${status === 'retrying' ? 'retry' : status}`,
    delivery: delivery.id,
    channel: delivery.channelId,
    kind: delivery.kind,
    attempt: delivery.attempts,
    requestId: delivery.requestId ?? undefined,
    ...(reason !== null && { reason }),
  }
  if (status === 'sent') log.info(line, 'alert sent')
  else if (status === 'suppressed') log.info(line, 'alert suppressed')
  else if (status === 'dead') log.error(line, 'alert given up')
  else {
    const nextAttempt = nextAttemptAt === null ? null : isoMillis(nextAttemptAt)
    log.warn({ ...line, nextAttempt }, 'alert failed, will be tried again')
  }
}
