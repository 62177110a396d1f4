// Switches off a channel whose destination is permanently gone, in one transaction with an audit entry and a notice to
// the other channels of the project.

import type { Actor, WriteAudit } from '../audit/store.ts'
import type { Queryable } from '../database/connection/client.ts'
import { type Channel, disableChannel } from './channels-store.ts'
import type { DeliveryQueue } from './delivery-queue.ts'
import type { Transport } from './wire/transport.ts'

export type SwitchOff = ReturnType<typeof createSwitchOff>

export function createSwitchOff(options: {
  transports: Record<string, Transport>
  queue: Pick<DeliveryQueue, 'insertProjectNotice'>
  writeAudit: WriteAudit
  now: () => number
}) {
  const { transports, queue, writeAudit, now } = options
  const kindsOf = (takes: typeof takesNotices) =>
    Object.entries(transports).flatMap(([kind, { category }]) => (takes(kind, category) ? [kind] : []))
  const kinds = kindsOf(takesNotices)
  const lastResort = kindsOf((_kind, category) => category === 'incident')

  /** False if its settings have changed since, or it is already off. */
  return async function switchOff(
    tx: Queryable,
    channel: Channel,
    reason: string,
    by: Actor = { actor: 'system' },
  ): Promise<boolean> {
    if (!(await disableChannel(tx, channel, reason))) return false
    const { id, projectId, kind, name } = channel
    const at = now()
    await writeAudit(tx, { projectId, ...by, action: 'channel.disable', target: id, detail: { reason } })
    const title = `The channel ${name} is switched off`
    const text = `Nothing will arrive at the channel ${name} (${kind}) any more: ${reason}. New settings switch it on again.`
    const notice = {
      projectId,
      about: id,
      seq: Math.floor(at / 1000),
      text: { severity: 'warning', title, text },
    } as const
    if ((await queue.insertProjectNotice(tx, { ...notice, kinds }, at)) === 0)
      await queue.insertProjectNotice(tx, { ...notice, kinds: lastResort }, at)
    return true
  }
}

/**
 * Phones get no notices, and incident tools only if no other channel gets one. The channels of a group get their own.
 */
function takesNotices(kind: string, category: Transport['category']): boolean {
  return category !== 'phone' && category !== 'incident' && kind !== 'group' && kind !== 'shell'
}
