// Deliveries that come from deliveries: those of a group's channels.

import type { Queryable } from '../../database/client.ts'
import { instant, statement as registered } from '../../database/sql.ts'
import type { ClaimedDelivery } from '../queue-store.ts'
import { toldWithRecovery } from './coalescing-store.ts'

const statement = (name: string, text: string) => registered(`alerting_${name}`, text)

const columns = 'check_id, id, project_id, channel_id, flip_seq, event, status, notice, next_attempt_at, created_at'

const forward = statement(
  'forward',
  `WITH living AS (
     SELECT id FROM channels WHERE project_id = $2 AND id = ANY($3::uuid[]) AND id <> $7 AND disabled_at IS NULL),
   told AS (
     SELECT $4::int AS seq, $5::text AS event
     UNION ALL SELECT flip_seq, event FROM deliveries
       WHERE $5 = 'up' AND check_id = $1 AND channel_id = $7 AND flip_seq = $4 - 1 AND event = 'down' AND status = 'suppressed'
         AND last_error = '${toldWithRecovery}'),
   made AS (
     INSERT INTO deliveries (${columns})
     SELECT $1, gen_random_uuid(), $2, living.id, told.seq, told.event, 'pending', $8::jsonb, ${instant('$6')}, ${instant('$6')}
     FROM living, told ORDER BY living.id, told.seq
     ON CONFLICT (check_id, flip_seq, channel_id, event) DO NOTHING)
   SELECT count(*)::int AS count FROM living`,
)

/**
 * The same on other channels, unless they have it already. An outage that was left to this recovery goes along: one of
 * the channels may want to hear of outages only. Returns how many of these can tell anything.
 */
export async function forwardDelivery(
  tx: Queryable,
  { checkId, projectId, channelId, flipSeq, event, notice }: ClaimedDelivery,
  channelIds: readonly string[],
  now: number,
): Promise<number> {
  const text = notice === null ? null : JSON.stringify(notice)
  const values = [checkId, projectId, channelIds, flipSeq, event, now, channelId, text]
  const [row] = await tx.query<{ count: number }>(forward, values)
  return row?.count ?? 0
}
