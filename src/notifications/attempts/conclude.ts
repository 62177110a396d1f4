// Decides and writes the outcome of an attempt. Most outcomes change only their own row, and one statement writes those
// of about the same time. An outcome with follow-ups is written in one transaction with them: the next reminder, the
// escalation, the deliveries of a group's channels.

import type { Channel } from '../../channels/channels-store.ts'
import type { SwitchOff } from '../../channels/switch-off.ts'
import type { Queryable } from '../../database/connection/client.ts'
import type { Database } from '../../database/service.ts'
import { coalesce } from '../../kit/coalesce.ts'
import { isoMillis } from '../../kit/instant.ts'
import { type ClaimedDelivery, type ConcludedAttempt, writeOutcomes } from '../queue/queue-store.ts'
import { coalesceWithRecovery, sendOutageSeparately } from './compose-store.ts'
import { forwardDelivery, insertFollowUp } from './follow-ups-store.ts'
import { type AttemptResult, type DeliveryOutcome, type DeliveryPolicy, decide } from './outcome.ts'

export type NotificationLog = {
  info(o: object, message: string): void
  warn(o: object, message: string): void
  error(o: object, message: string): void
}

/** `at` and `chance` are the same for all deliveries of one message, so that they are retried together. */
export type Conclude = (
  delivery: ClaimedDelivery,
  channel: Channel | null,
  result: AttemptResult,
  at: number,
  chance: number,
) => Promise<void>

export function createConclude(options: {
  database: Database
  switchOff: SwitchOff
  policy: DeliveryPolicy
  now: () => number
  count: (kind: string, status: DeliveryOutcome['status'], projectId: string) => void
  log: NotificationLog
}): Conclude {
  const { database, policy, now, log } = options
  const writeAlone = coalesce((all: ConcludedAttempt[]) => database.transaction((tx) => writeOutcomes(tx, all)))
  const leaveOutage = coalesce(async (checkIds: string[]) => {
    const left = await database.transaction((tx) => coalesceWithRecovery(tx, checkIds, now()))
    return checkIds.map(() => left.size)
  })

  async function writeWithFollowUps(
    delivery: ClaimedDelivery,
    channel: Channel | null,
    result: AttemptResult,
    decided: DeliveryOutcome,
    at: number,
  ): Promise<{ outcome: DeliveryOutcome; written: boolean }> {
    const reason = decided.disable
    const { outcome, written, disabled } = await database.transaction(async (tx) => {
      const outcome = result.kind === 'forwarded' ? await forward(tx, delivery, result.channelIds, decided) : decided
      const [written = false] = await writeOutcomes(tx, [{ delivery, outcome, at }])
      if (written && channel !== null && ['sent', 'dead'].includes(outcome.status))
        await insertFollowUps(tx, delivery, channel, at)
      if (written && delivery.deliveryKind === 'up' && outcome.status === 'suppressed')
        await sendOutageSeparately(tx, { ...delivery, checkId: delivery.subjectId }, at)
      const disabled = reason !== null && channel !== null && (await options.switchOff(tx, channel, reason))
      return { outcome, written, disabled }
    })
    if (disabled)
      log.warn(
        { event: 'channel.disabled', channel: delivery.channelId, reason },
        'channel switched off, its destination is gone',
      )
    return { outcome, written }
  }

  async function forward(
    tx: Queryable,
    delivery: ClaimedDelivery,
    channelIds: readonly string[],
    outcome: DeliveryOutcome,
  ): Promise<DeliveryOutcome> {
    if ((await forwardDelivery(tx, delivery, channelIds, now())) > 0) return outcome
    return { ...outcome, status: 'dead', detail: 'none of its channels exists and is switched on' }
  }

  return async (delivery, channel, result, at, chance) => {
    const decided = decide(result, delivery, policy, at, chance)
    const { outcome, written } = concernsOnlyItself(delivery, channel, result, decided)
      ? { outcome: decided, written: await writeAlone({ delivery, outcome: decided, at }) }
      : await writeWithFollowUps(delivery, channel, result, decided, at)
    if (!written) return
    options.count(delivery.kind, outcome.status, delivery.projectId)
    report(log, delivery, outcome)
    const forwards = result.kind === 'forwarded' && delivery.deliveryKind === 'up'
    if (forwards || (delivery.deliveryKind === 'down' && outcome.status === 'retrying'))
      await leaveOutage(delivery.subjectId)
  }
}

function concernsOnlyItself(
  delivery: ClaimedDelivery,
  channel: Channel | null,
  result: AttemptResult,
  { status, disable }: DeliveryOutcome,
): boolean {
  if (result.kind === 'forwarded' || disable !== null) return false
  if (delivery.deliveryKind === 'up' && status === 'suppressed') return false
  return channel === null || !mayBeFollowed(delivery, channel)
}

/** Whether a reminder or an escalation may follow after this alert was sent, or given up. */
function mayBeFollowed(delivery: ClaimedDelivery, { alerts }: Channel): boolean {
  if (delivery.deliveryKind === 'up' || delivery.notice !== null) return false
  return remindEvery(delivery, alerts) !== undefined || alerts?.escalate !== undefined
}

/** In seconds. The setting of a check applies to all of its channels. */
function remindEvery({ remindEveryS }: ClaimedDelivery, alerts: Channel['alerts']): number | undefined {
  return remindEveryS ?? alerts?.remind_every
}

/** Queues the next reminder and the next escalation of an outage that lasts and that nobody has acknowledged. */
async function insertFollowUps(tx: Queryable, delivery: ClaimedDelivery, channel: Channel, at: number): Promise<void> {
  if (!mayBeFollowed(delivery, channel)) return
  const { subjectId: checkId, projectId, flipSeq, deliveryKind, ordinal } = delivery
  const outage = { checkId, projectId, flipSeq }
  const every = remindEvery(delivery, channel.alerts)
  const escalate = channel.alerts?.escalate
  if (every !== undefined) {
    const reminder = { channelId: channel.id, kind: 'reminder', ordinal: ordinal + 1, due: at + every * 1000 } as const
    await insertFollowUp(tx, outage, reminder, at)
  }
  if (escalate && deliveryKind !== 'reminder') {
    const next = { channelId: escalate.to, kind: 'escalation', ordinal: 0, due: at + escalate.after * 1000 } as const
    await insertFollowUp(tx, outage, next, at)
  }
}

/** One log line for the outcome of an attempt. */
export function report(
  log: NotificationLog,
  delivery: Pick<ClaimedDelivery, 'id' | 'channelId' | 'kind' | 'attempts' | 'requestId'>,
  outcome: DeliveryOutcome,
): void {
  const { status, detail: reason, nextAttemptAt } = outcome
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
    log.warn({ ...line, nextAttempt }, 'alert failed, will be retried')
  }
}
