// What follows an alert while its outage goes on: the next reminder, and the next escalation.

import type { Channel } from '../../channels/channels-store.ts'
import type { Queryable } from '../../database/client.ts'
import { eventOf } from '../attempts/compose.ts'
import type { ClaimedDelivery } from '../queue-store.ts'
import { insertFollowUp } from './follow-ups-store.ts'

/** Whether something may follow once it was sent, or given up. */
export function isFollowed(delivery: ClaimedDelivery, { alerts }: Channel): boolean {
  if (eventOf(delivery) === 'up' || delivery.notice !== null) return false
  return remindEvery(delivery, alerts) !== undefined || alerts?.escalate !== undefined
}

/** In seconds. What is said of the check holds for all of its channels. */
function remindEvery({ remindEveryS }: ClaimedDelivery, alerts: Channel['alerts']): number | undefined {
  return remindEveryS ?? alerts?.remind_every
}

/** While an outage goes on and nobody acknowledges it: the next reminder, and the channels of the next escalation. */
export async function follow(tx: Queryable, delivery: ClaimedDelivery, channel: Channel, at: number): Promise<void> {
  if (!isFollowed(delivery, channel)) return
  const event = eventOf(delivery)
  const every = remindEvery(delivery, channel.alerts)
  const escalate = channel.alerts?.escalate
  if (every !== undefined) {
    const reminder = `reminder:${Number(/:(\d+)$/.exec(delivery.event)?.[1] ?? 0) + 1}`
    await insertFollowUp(tx, delivery, { channelId: channel.id, event: reminder, due: at + every * 1000 }, at)
  }
  if (escalate && event !== 'reminder') {
    const next = { channelId: escalate.to, event: 'escalation', due: at + escalate.after * 1000 }
    await insertFollowUp(tx, delivery, next, at)
  }
}
