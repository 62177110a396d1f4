// What came of an attempt is judged and written. Most attempts concern nothing but their own row, and those that end at about the same time
// are written as one; what has consequences is a transaction with them.

import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import { coalesce } from '../kit/coalesce.ts'
import type { Channel } from './channels-store.ts'
import { follow, isFollowed } from './consequences.ts'
import { type AlertingLog, report } from './delivery-report.ts'
import { forwardDelivery } from './onward-store.ts'
import { leaveToRecovery, takeBackOutage } from './order-store.ts'
import { type ClaimedDelivery, type Verdicted, writeVerdicts } from './store.ts'
import type { SwitchOff } from './switch-off.ts'
import { type DeliveryPolicy, judge, type Outcome, type Verdict } from './verdict.ts'

/** `at` and `chance` are the same for all that went out together, so that it is tried again together. */
export type Concluding = (
  delivery: ClaimedDelivery,
  channel: Channel | null,
  outcome: Outcome,
  at: number,
  chance: number,
) => Promise<void>

export function createConcluding(options: {
  database: Database
  switchOff: SwitchOff
  policy: DeliveryPolicy
  now: () => number
  count: (kind: string, outcome: Verdict['status'], projectId: string) => void
  log: AlertingLog
}): Concluding {
  const { database, policy, now, log } = options
  const writeAlone = coalesce((all: Verdicted[]) => database.transaction((tx) => writeVerdicts(tx, all)))
  const leaveOutage = coalesce(async (checkIds: string[]) => {
    const left = await database.transaction((tx) => leaveToRecovery(tx, checkIds, now()))
    return checkIds.map(() => left.size)
  })

  async function writeWithConsequences(
    delivery: ClaimedDelivery,
    channel: Channel | null,
    outcome: Outcome,
    judged: Verdict,
    at: number,
  ): Promise<{ verdict: Verdict; written: boolean }> {
    const reason = judged.disable
    const { verdict, written, disabled } = await database.transaction(async (tx) => {
      const verdict = outcome.kind === 'forwarded' ? await forward(tx, delivery, outcome.channelIds, judged) : judged
      const [written = false] = await writeVerdicts(tx, [{ delivery, verdict, at }])
      if (written && channel !== null && ['sent', 'dead'].includes(verdict.status))
        await follow(tx, delivery, channel, at)
      if (written && delivery.event === 'up' && verdict.status === 'suppressed') await takeBackOutage(tx, delivery, at)
      const disabled = reason !== null && channel !== null && (await options.switchOff(tx, channel, reason))
      return { verdict, written, disabled }
    })
    if (disabled)
      log.warn({ event: 'channel.disabled', channel: delivery.channelId, reason }, 'channel switched off for good')
    return { verdict, written }
  }

  async function forward(
    tx: Queryable,
    delivery: ClaimedDelivery,
    channelIds: readonly string[],
    verdict: Verdict,
  ): Promise<Verdict> {
    if ((await forwardDelivery(tx, delivery, channelIds, now())) > 0) return verdict
    return { ...verdict, status: 'dead', lastError: 'none of its channels is there any more and switched on' }
  }

  return async (delivery, channel, outcome, at, chance) => {
    const judged = judge(outcome, delivery, policy, at, chance)
    const { verdict, written } = concernsOnlyItself(delivery, channel, outcome, judged)
      ? { verdict: judged, written: await writeAlone({ delivery, verdict: judged, at }) }
      : await writeWithConsequences(delivery, channel, outcome, judged, at)
    if (!written) return
    options.count(delivery.kind, verdict.status, delivery.projectId)
    report(log, delivery, verdict)
    const forwards = outcome.kind === 'forwarded' && delivery.event === 'up'
    if (forwards || (delivery.event === 'down' && verdict.status === 'retrying')) await leaveOutage(delivery.checkId)
  }
}

function concernsOnlyItself(
  delivery: ClaimedDelivery,
  channel: Channel | null,
  outcome: Outcome,
  { status, disable }: Verdict,
): boolean {
  if (outcome.kind === 'forwarded' || disable !== null) return false
  if (delivery.event === 'up' && status === 'suppressed') return false
  return channel === null || !isFollowed(delivery, channel)
}
