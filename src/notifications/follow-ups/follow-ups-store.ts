// What follows an alert while its outage goes on: reminders, and the next channel.

import type { Queryable } from '../../database/client.ts'
import { instant, statement as registered } from '../../database/sql.ts'

const statement = (name: string, text: string) => registered(`alerting_${name}`, text)

const follow = statement(
  'follow',
  `INSERT INTO deliveries (check_id, id, project_id, channel_id, flip_seq, event, status, next_attempt_at, created_at)
   SELECT $1::uuid, gen_random_uuid(), c.project_id, c.id, $4::int, $5::text, 'pending', ${instant('$6')}, ${instant('$7')}
   FROM channels c WHERE c.id = $3 AND c.project_id = $2 AND c.disabled_at IS NULL
     AND EXISTS (SELECT FROM checks m WHERE m.id = $1 AND m.status = 'down' AND m.flip_seq = $4)
     AND NOT ($5 = 'escalation' AND EXISTS (SELECT FROM check_channels mc WHERE mc.check_id = $1 AND mc.channel_id = c.id))
   ON CONFLICT (check_id, flip_seq, channel_id, event) DO NOTHING`,
)

/**
 * Due later, if the outage goes on; one that is over by then is not sent. A channel that gets the outage anyway gets no
 * escalation of it.
 */
export async function insertFollowUp(
  tx: Queryable,
  { checkId, projectId, flipSeq }: { checkId: string; projectId: string; flipSeq: number },
  { channelId, event, due }: { channelId: string; event: string; due: number },
  now: number,
): Promise<void> {
  await tx.query(follow, [checkId, projectId, channelId, flipSeq, event, due, now])
}
