// Operator notices and requests for confirmation: messages about no check, which are deliveries too and are retried like them.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import type { NoticeText } from '../../messages/message.ts'

const insert = statement(
  'notifications_insert_notice',
  { id: 'uuid' },
  `INSERT INTO deliveries (subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, status, notice, next_attempt_at, created_at)
   SELECT $2::uuid, gen_random_uuid(), $8, c.project_id, c.id, $3::int, 'notice', 'pending', $4::jsonb, ${instant('$5')}, ${instant('$5')}
   FROM channels c WHERE ($1::uuid IS NULL OR c.project_id = $1) AND c.disabled_at IS NULL AND ($6::uuid[] IS NULL OR c.id = ANY($6))
     AND ($7::text[] IS NULL OR c.kind = ANY($7))
   ORDER BY c.id
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING
   RETURNING id`,
)

/**
 * One delivery for each enabled channel of the project of one of these kinds, or for each of these channels of any
 * project. Notices with the same `about` are sent in the order of `seq`. Returns the number of deliveries.
 */
export async function insertNotice(
  tx: Queryable,
  notice: { about: string; seq: number; text: NoticeText } & (
    | { projectId: string; kinds: readonly string[]; channelIds?: undefined }
    | { projectId: null; kinds?: undefined; channelIds: readonly string[] }
  ),
  now: number,
): Promise<number> {
  const { projectId, about, seq, text, channelIds, kinds } = notice
  const values = [projectId, about, seq, JSON.stringify(text), now, channelIds ?? null, kinds ?? null]
  const subjectKind = projectId === null ? 'service' : 'channel'
  return (await tx.query(insert, [...values, subjectKind])).length
}

const insertRequest = statement(
  'notifications_insert_confirmation_request',
  `INSERT INTO deliveries (subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, status, notice, next_attempt_at, created_at)
   SELECT $2::uuid, gen_random_uuid(), 'channel', $1::uuid, $2::uuid, coalesce(max(d.flip_seq), 0) + 1, 'confirm', 'pending', $4::jsonb, ${instant('$3')},
     ${instant('$3')}
   FROM deliveries d WHERE d.subject_id = $2 AND d.kind = 'confirm'`,
)

/** Queues the mail that asks the recipient of a channel for confirmation, as a delivery of the channel. */
export async function insertConfirmationRequest(
  tx: Queryable,
  { id, projectId }: { id: string; projectId: string },
  text: NoticeText,
  now: number,
): Promise<void> {
  await tx.query(insertRequest, [projectId, id, now, JSON.stringify(text)])
}
