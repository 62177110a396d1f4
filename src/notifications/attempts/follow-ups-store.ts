// Deliveries that follow from an attempt: the next reminder, the escalation to another channel, and what a group forwards to its channels.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import type { ClaimedDelivery } from '../queue/queue-store.ts'

const follow = statement(
  'notifications_follow',
  `INSERT INTO deliveries (subject_id, id, project_id, channel_id, flip_seq, kind, ordinal, status, next_attempt_at, created_at)
   SELECT $1::uuid, gen_random_uuid(), c.project_id, c.id, $4::int, $5::text, $8::int, 'pending', ${instant('$6')}, ${instant('$7')}
   FROM channels c WHERE c.id = $3 AND c.project_id = $2 AND c.disabled_at IS NULL
     AND EXISTS (SELECT FROM checks m WHERE m.id = $1 AND m.status = 'down' AND m.flip_seq = $4)
     AND NOT ($5 = 'escalation' AND EXISTS (SELECT FROM check_channels mc WHERE mc.check_id = $1 AND mc.channel_id = c.id))
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING`,
)

/**
 * Due later, if the outage lasts; if it is over by then, nothing is sent. A channel that gets the outage anyway gets no
 * escalation of it.
 */
export async function insertFollowUp(
  tx: Queryable,
  { checkId, projectId, flipSeq }: { checkId: string; projectId: string; flipSeq: number },
  {
    channelId,
    kind,
    ordinal,
    due,
  }: { channelId: string; kind: 'reminder' | 'escalation'; ordinal: number; due: number },
  now: number,
): Promise<void> {
  await tx.query(follow, [checkId, projectId, channelId, flipSeq, kind, due, now, ordinal])
}

const forwardedColumns =
  'subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, ordinal, status, notice, next_attempt_at, created_at'

const forward = statement(
  'notifications_forward',
  { count: 'int4' },
  `WITH living AS (
     SELECT id FROM channels WHERE project_id = $2 AND id = ANY($3::uuid[]) AND id <> $7 AND disabled_at IS NULL),
   forwarded AS (
     SELECT $4::int AS seq, $5::text AS kind, $9::int AS ordinal
     UNION ALL SELECT flip_seq, kind, ordinal FROM deliveries
       WHERE $5 = 'up' AND subject_id = $1 AND channel_id = $7 AND flip_seq = $4 - 1 AND kind = 'down' AND suppression = 'coalesced'),
   made AS (
     INSERT INTO deliveries (${forwardedColumns})
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
  const [row] = await tx.query(forward, values)
  return row?.count ?? 0
}
