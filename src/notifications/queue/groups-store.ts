// Alerts of a storm that are sent in one message. Until the first attempt a group is whatever was collected in one span
// of time; after that it is fixed under the id of one of its deliveries, which is its idempotency key.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import { type ClaimedDelivery, claimedColumns, claimedTypes, type DueDelivery, precedes } from './queue-store.ts'

/** The largest number of alerts in one message. */
const groupMax = 200

const claim = statement<ClaimedDelivery>(
  'notifications_claim_group',
  claimedTypes,
  `UPDATE deliveries d SET attempts = d.attempts + 1, next_attempt_at = ${instant('$6')}, lease_until = ${instant('$6')},
     group_id = CASE WHEN d.attempts = 0 THEN $1::uuid ELSE d.group_id END
   FROM (
     SELECT o.subject_id, o.id FROM deliveries o
     WHERE o.group_id = $2 AND o.channel_id = $3 AND o.attempts = $4 AND o.status IN ('pending', 'retrying')
       AND o.next_attempt_at <= ${instant('$5')}
       AND NOT EXISTS (
         SELECT FROM deliveries e WHERE e.subject_id = o.subject_id AND e.channel_id = o.channel_id AND e.flip_seq < o.flip_seq
           AND ${precedes('e', instant('$5'))})
     ORDER BY o.id = $1 DESC, o.created_at, o.subject_id LIMIT ${groupMax}) seen
   WHERE d.subject_id = seen.subject_id AND d.id = seen.id AND d.attempts = $4 AND d.status IN ('pending', 'retrying')
     AND d.next_attempt_at <= ${instant('$5')}
   RETURNING ${claimedColumns}`,
)

/**
 * Compares and sets, as for single deliveries: claims those of the leader's group that no other replica has claimed.
 */
export async function claimGroup(
  tx: Queryable,
  leader: DueDelivery,
  now: number,
  leaseUntil: number,
): Promise<ClaimedDelivery[]> {
  const { id, groupId, channelId, attempts } = leader
  return tx.query(claim, [id, groupId, channelId, attempts, now, leaseUntil])
}
