// Deliveries that come from deliveries: those of a group's channels.

import type { Queryable, Statement } from '../database/client.ts'
import type { ClaimedDelivery } from './store.ts'

const statement = (name: string, text: string): Statement => ({ name: `alerting_${name}`, text })
const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`

const columns = 'monitor_id, id, project_id, channel_id, flip_seq, event, status, next_attempt_at, created_at'

const forward = statement(
  'forward',
  `WITH living AS (
     SELECT id FROM channels WHERE project_id = $2 AND id = ANY($3::uuid[]) AND id <> $7 AND disabled_at IS NULL),
   made AS (
     INSERT INTO deliveries (${columns})
     SELECT $1, gen_random_uuid(), $2, living.id, $4::int, $5, 'pending', ${instant('$6')}, ${instant('$6')}
     FROM living ORDER BY living.id
     ON CONFLICT (monitor_id, flip_seq, channel_id, event) DO NOTHING)
   SELECT count(*)::int AS count FROM living`,
)

/** The same on other channels, unless it is told there already. Returns how many of these can tell anything. */
export async function forwardDelivery(
  tx: Queryable,
  { monitorId, projectId, channelId, flipSeq, event }: ClaimedDelivery,
  channelIds: readonly string[],
  now: number,
): Promise<number> {
  const values = [monitorId, projectId, channelIds, flipSeq, event, now, channelId]
  return (await tx.query<{ count: number }>(forward, values))[0]?.count ?? 0
}
