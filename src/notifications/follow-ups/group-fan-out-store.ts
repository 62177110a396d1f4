// Group fan-out: the deliveries of a group's channels.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement as registered } from '../../database/sql.ts'
import type { ClaimedDelivery } from '../queue/queue-store.ts'

const statement = (name: string, text: string) => registered(`notifications_${name}`, text)

const columns =
  'subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, ordinal, status, notice, next_attempt_at, created_at'

const forward = statement(
  'forward',
  `WITH living AS (
     SELECT id FROM channels WHERE project_id = $2 AND id = ANY($3::uuid[]) AND id <> $7 AND disabled_at IS NULL),
   forwarded AS (
     SELECT $4::int AS seq, $5::text AS kind, $9::int AS ordinal
     UNION ALL SELECT flip_seq, kind, ordinal FROM deliveries
       WHERE $5 = 'up' AND subject_id = $1 AND channel_id = $7 AND flip_seq = $4 - 1 AND kind = 'down' AND suppression = 'coalesced'),
   made AS (
     INSERT INTO deliveries (${columns})
     SELECT $1, gen_random_uuid(), $10, $2, living.id, forwarded.seq, forwarded.kind, forwarded.ordinal, 'pending', $8::jsonb, ${instant('$6')}, ${instant('$6')}
     FROM living, forwarded ORDER BY living.id, forwarded.seq
     ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING)
   SELECT count(*)::int AS count FROM living`,
)

/**
 * Queues the same delivery for the channels of a group, unless they have it already. An outage that was coalesced with this recovery is
 * queued too, because one of the channels may want outages only. Returns how many of the channels are switched on.
 */
export async function forwardDelivery(
  tx: Queryable,
  delivery: ClaimedDelivery,
  channelIds: readonly string[],
  now: number,
): Promise<number> {
  const { subjectId, subjectKind, projectId, channelId, flipSeq, deliveryKind, ordinal, notice } = delivery
  const text = notice === null ? null : JSON.stringify(notice)
  const values = [subjectId, projectId, channelIds, flipSeq, deliveryKind, now, channelId, text, ordinal, subjectKind]
  const [row] = await tx.query<{ count: number }>(forward, values)
  return row?.count ?? 0
}
