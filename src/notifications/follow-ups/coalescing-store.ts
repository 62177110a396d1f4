// Outage–recovery coalescing: on one channel, a recovery is sent after its outage, or reports both in one message.

import type { FlipReason } from '../../core/status.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement as registered } from '../../database/sql.ts'
import { placed } from '../attempts/compose-store.ts'

export const coalescedText = 'told together with its recovery'

const statement = (name: string, text: string) => registered(`notifications_${name}`, text)
const unfinished = (row: string) => `${row}.status IN ('pending', 'retrying')`

const combine = statement(
  'combine',
  `UPDATE deliveries d SET status = 'suppressed', suppression = 'coalesced', detail = '${coalescedText}', next_attempt_at = NULL, lease_until = NULL,
     finished_at = ${instant('$2')}
   WHERE d.subject_id = ANY($1::uuid[]) AND d.kind = 'down' AND ${unfinished('d')}
     AND (d.lease_until IS NULL OR d.lease_until <= ${instant('$2')} OR d.id = ANY($3::uuid[]))
     AND EXISTS (
       SELECT FROM deliveries u WHERE u.subject_id = d.subject_id AND u.channel_id = d.channel_id AND u.flip_seq = d.flip_seq + 1
         AND u.kind = 'up' AND ${unfinished('u')})
   RETURNING d.id`,
)

/**
 * Suppresses outages that wait while their recovery waits too, so that the recovery reports both. An outage that a replica is sending now is
 * left alone, unless the caller itself has claimed it (`claimed`). Returns the ids of those that were suppressed. Call it after the commit of a
 * recovery, or of an outage that is retried: two transactions at the same moment would not see each other's rows.
 */
export async function leaveToRecovery(
  on: Queryable,
  checkIds: readonly string[],
  now: number,
  claimed: readonly string[] = [],
): Promise<Set<string>> {
  const left = await on.query<{ id: string }>(combine, [checkIds, now, claimed])
  return new Set(left.map(({ id }) => id))
}

const takeBack = statement(
  'take_back',
  `UPDATE deliveries SET status = 'pending', suppression = NULL, detail = NULL, finished_at = NULL, next_attempt_at = ${instant('$4')}
   WHERE subject_id = $1 AND channel_id = $2 AND flip_seq = $3 - 1 AND kind = 'down' AND suppression = 'coalesced'`,
)

/** The recovery `seq` will not be sent, so the outage that was to go with it has to be sent by itself. */
export async function takeBackOutage(
  tx: Queryable,
  { checkId, channelId, flipSeq }: { checkId: string; channelId: string; flipSeq: number },
  now: number,
): Promise<void> {
  await tx.query(takeBack, [checkId, channelId, flipSeq, now])
}

export type EndedOutage = { at: number; reason: FlipReason; untold: boolean }

const outages = statement(
  'outages',
  `SELECT w.place, f.at, f.reason, EXISTS (
       SELECT FROM deliveries d WHERE d.subject_id = f.check_id AND d.flip_seq = f.seq AND d.channel_id = w.channel_id AND d.kind = 'down'
         AND (d.status = 'dead' OR d.suppression = 'coalesced')) AS untold
   FROM unnest($1::uuid[], $2::uuid[], $3::int[]) WITH ORDINALITY AS w(check_id, channel_id, seq, place)
     JOIN LATERAL (
       SELECT * FROM flips f WHERE f.check_id = w.check_id AND f.seq = w.seq - 1 AND f."to" = 'down' OFFSET 0) f ON true`,
)

/** The outage that each of these recoveries ends, and whether an alert of it was sent; null if it ends none. */
export async function selectOutages(
  on: Queryable,
  recoveries: readonly { checkId: string; channelId: string; flipSeq: number }[],
): Promise<(EndedOutage | null)[]> {
  const values = [
    recoveries.map(({ checkId }) => checkId),
    recoveries.map(({ channelId }) => channelId),
    recoveries.map(({ flipSeq }) => flipSeq),
  ]
  const rows = await on.query<EndedOutage & { place: number }>(outages, values)
  return placed(rows, recoveries.length).map((row) => row && { at: row.at, reason: row.reason, untold: row.untold })
}
