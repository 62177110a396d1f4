// What follows from an attempt besides its result, in the same transaction.

import type { WriteAudit } from '../audit/store.ts'
import type { Queryable } from '../database/client.ts'
import { type Channel, disableChannel } from './channels-store.ts'
import { insertFollowUp } from './following-store.ts'
import { insertNotice } from './notices-store.ts'
import type { ClaimedDelivery } from './store.ts'
import { eventOf } from './telling.ts'

/** While an outage goes on and nobody acknowledges it: the next reminder, and whoever is to hear of it then. */
export async function follow(tx: Queryable, delivery: ClaimedDelivery, channel: Channel, at: number): Promise<void> {
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
export async function switchOff(
  tx: Queryable,
  channel: Channel,
  reason: string,
  at: number,
  writeAudit: WriteAudit,
): Promise<boolean> {
  if (!(await disableChannel(tx, channel, reason))) return false
  const { id, projectId, kind, name } = channel
  await writeAudit(tx, {
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
    { projectId, about: id, seq: Math.floor(at / 1000), text: { severity: 'warning', title, text } },
    at,
  )
  return true
}
