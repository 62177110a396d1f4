// What follows an alert while its outage goes on: the next reminder, and the next escalation.

import type { Channel } from '../../channels/channels-store.ts'
import type { Queryable } from '../../database/connection/client.ts'
import type { ClaimedDelivery } from '../queue/queue-store.ts'
import { insertFollowUp } from './follow-ups-store.ts'

/** Whether a reminder or an escalation may follow once this alert was sent, or given up. */
export function mayBeFollowed(delivery: ClaimedDelivery, { alerts }: Channel): boolean {
  if (delivery.deliveryKind === 'up' || delivery.notice !== null) return false
  return remindEvery(delivery, alerts) !== undefined || alerts?.escalate !== undefined
}

/** In seconds. The setting of a check holds for all of its channels. */
function remindEvery({ remindEveryS }: ClaimedDelivery, alerts: Channel['alerts']): number | undefined {
  return remindEveryS ?? alerts?.remind_every
}

/** Queues the next reminder and the next escalation of an outage that goes on and that nobody has acknowledged. */
export async function insertFollowUps(
  tx: Queryable,
  delivery: ClaimedDelivery,
  channel: Channel,
  at: number,
): Promise<void> {
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
