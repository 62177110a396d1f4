// What follows an alert while its outage goes on: reminders, and the next channel.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement as registered } from '../../database/sql.ts'

const statement = (name: string, text: string) => registered(`notifications_${name}`, text)

const follow = statement(
  'follow',
  `INSERT INTO deliveries (subject_id, id, project_id, channel_id, flip_seq, kind, ordinal, status, next_attempt_at, created_at)
   SELECT $1::uuid, gen_random_uuid(), c.project_id, c.id, $4::int, $5::text, $8::int, 'pending', ${instant('$6')}, ${instant('$7')}
   FROM channels c WHERE c.id = $3 AND c.project_id = $2 AND c.disabled_at IS NULL
     AND EXISTS (SELECT FROM checks m WHERE m.id = $1 AND m.status = 'down' AND m.flip_seq = $4)
     AND NOT ($5 = 'escalation' AND EXISTS (SELECT FROM check_channels mc WHERE mc.check_id = $1 AND mc.channel_id = c.id))
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING`,
)

/**
 * Due later, if the outage goes on; one that is over by then is not sent. A channel that gets the outage anyway gets no
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
