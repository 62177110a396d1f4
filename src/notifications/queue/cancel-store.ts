// Ends unfinished deliveries that are not to be sent any more. Instants in epoch milliseconds.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement as registered } from '../../database/sql.ts'
import type { DeliveryKind } from './delivery-columns.ts'

const details = {
  channel_deleted: 'the channel was deleted',
  check_deleted: 'the check was deleted',
  project_deleted: 'the project was deleted',
  recovered: 'the check recovered',
}

// A statement for each, so that each searches by an index of its own.
const scopes = {
  channel: cancelBy('channel', 'channel_id'),
  check: cancelBy('check', 'subject_id'),
  project: cancelBy('project', 'project_id'),
}

function cancelBy(name: string, column: string) {
  return registered(
    `notifications_cancel_by_${name}`,
    `UPDATE deliveries d SET status = 'suppressed', suppression = $2, detail = $3, next_attempt_at = NULL, finished_at = ${instant('$4')}
     WHERE d.${column} = ANY($1::uuid[]) AND d.status IN ('pending', 'retrying')
       AND ($5::text[] IS NULL OR d.kind = ANY($5) AND (d.lease_until IS NULL OR d.lease_until <= ${instant('$4')}))`,
  )
}

/** With `kinds`, other kinds and deliveries that a replica is sending at this moment are left alone. */
export async function cancelDeliveries(
  tx: Queryable,
  of: { by: keyof typeof scopes; ids: readonly string[]; kinds?: readonly DeliveryKind[] },
  reason: keyof typeof details,
  now: number,
): Promise<void> {
  await tx.query(scopes[of.by], [of.ids, reason, details[reason], now, of.kinds ?? null])
}
