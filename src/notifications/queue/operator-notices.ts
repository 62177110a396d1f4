// Notices about Flatline itself go to the channels of its operators, as far as each channel wants them.

import type { WantedAlerts } from '../../channels/wanted-alerts.ts'
import { quietUntil } from '../../core/alerting/quiet-hours.ts'
import type { Queryable } from '../../database/connection/client.ts'
import type { Severity } from '../../messages/message.ts'
import {
  insertOperatorNotices,
  type Notice,
  type OperatorChannel,
  selectOperatorChannels,
} from './operator-notices-store.ts'

/**
 * Queues a notice for those of these channels that want it, in the caller's transaction. In a channel's quiet hours it
 * waits for their end. Returns how many deliveries were made.
 */
export async function notifyOperators(
  tx: Queryable,
  notice: Notice & { channelIds: readonly string[] },
  now: number,
): Promise<number> {
  const channels = await selectOperatorChannels(tx, notice.channelIds, notice.about)
  const wanting = channels.filter((channel) => wants(channel, notice.text.severity))
  const timed = wanting.map(({ id, alerts }) => ({ id, at: endOfQuiet(alerts, now) ?? now }))
  return timed.length === 0 ? 0 : insertOperatorNotices(tx, notice, timed, now)
}

/** As for checks: a channel with a filter of severities gets the end of a problem only if it got the problem. */
function wants({ alerts, lastSeverity }: OperatorChannel, severity: Severity): boolean {
  const { events = ['down', 'up'], severities } = alerts ?? {}
  if (severity !== 'resolved') return events.includes('down') && (severities?.includes(severity) ?? true)
  return events.includes('up') && (severities === undefined || (lastSeverity ?? 'resolved') !== 'resolved')
}

function endOfQuiet(alerts: WantedAlerts | null, now: number): number | null {
  return alerts?.quiet_hours === undefined ? null : quietUntil(alerts.quiet_hours, now)
}
