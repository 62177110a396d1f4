// Reads the contents of messages for many deliveries at once, and decides which outages are reported by the message of
// their recovery. Instants in epoch milliseconds.

import type { FlipReason, Status } from '../../core/status.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import { unfinished } from '../queue/queue-store.ts'

/** A change of a check. */
export type FlipKey = { checkId: string; flipSeq: number }

export type ComposedFlip = {
  at: number
  from: Status
  to: Status
  reason: FlipReason
  /** The project's name. */
  project: string
  blindFrom: number | null
  blindTo: number | null
  unheardReplica: string | null
  unheardFrom: number | null
}

/** The rows in the requested order, by `place`; null if none was found. */
export function placed<Row extends { place: number }>(rows: readonly Row[], count: number): (Row | null)[] {
  const places = new Array<Row | null>(count).fill(null)
  for (const row of rows) places[row.place - 1] = row
  return places
}

// OFFSET 0 forces a look-up by key for each: for a join PostgreSQL would read all of a growing table that it has not
// analysed yet.
const asked = `unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS w(check_id, seq, place)
     JOIN LATERAL (SELECT * FROM flips f WHERE f.check_id = w.check_id AND f.seq = w.seq OFFSET 0) f ON true`

const flips = statement<ComposedFlip & { place: number }>(
  'notifications_flips',
  {
    place: 'int8',
    at: 'timestamptz',
    from: 'text',
    to: 'text',
    reason: 'text',
    blindFrom: 'timestamptz?',
    blindTo: 'timestamptz?',
    unheardReplica: 'text?',
    unheardFrom: 'timestamptz?',
    project: 'text',
  },
  `SELECT w.place, f.at, f."from", f."to", f.reason, f.blind_from AS "blindFrom", f.blind_to AS "blindTo",
     f.unheard_replica AS "unheardReplica", f.unheard_from AS "unheardFrom",
     coalesce((SELECT p.name FROM projects p WHERE p.id = f.project_id), '') AS project
   FROM ${asked}`,
)

export async function selectFlips(on: Queryable, keys: readonly FlipKey[]): Promise<(ComposedFlip | null)[]> {
  const values = [keys.map(({ checkId }) => checkId), keys.map(({ flipSeq }) => flipSeq)]
  return placed(await on.query(flips, values), keys.length)
}

/** The body is as received; `isMail` says that it is an e-mail message. */
export type LastPing = { exitStatus: number | null; body: Buffer | null; isMail: boolean }

const lastPings = statement<LastPing & { place: number }>(
  'notifications_last_pings',
  { place: 'int8', exitStatus: 'int4?', body: 'bytea?', isMail: 'bool' },
  `SELECT w.place, h.exit_status AS "exitStatus", b.body, (h.scheme = 'email' AND h.method = '') AS "isMail"
   FROM ${asked}
     JOIN LATERAL (
       SELECT * FROM heartbeats WHERE check_id = f.check_id AND received_at <= f.at ORDER BY received_at DESC, id DESC LIMIT 1) h ON true
     LEFT JOIN heartbeat_bodies b ON b.check_id = h.check_id AND b.received_at = h.received_at AND b.id = h.id`,
)

/** The newest heartbeat up to each change. */
export async function selectLastPings(on: Queryable, keys: readonly FlipKey[]): Promise<(LastPing | null)[]> {
  const values = [keys.map(({ checkId }) => checkId), keys.map(({ flipSeq }) => flipSeq)]
  const rows = await on.query(lastPings, values)
  return placed(rows, keys.length).map(
    (row) => row && { exitStatus: row.exitStatus, body: row.body, isMail: row.isMail },
  )
}

export type EndedOutage = { at: number; reason: FlipReason; untold: boolean }

const outages = statement<EndedOutage & { place: number }>(
  'notifications_outages',
  { place: 'int8', at: 'timestamptz', reason: 'text', untold: 'bool' },
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
  const rows = await on.query(outages, values)
  return placed(rows, recoveries.length).map((row) => row && { at: row.at, reason: row.reason, untold: row.untold })
}

// Outage–recovery coalescing: on one channel, a recovery is sent after its outage, or reports both in one message.

export const coalescedText = 'coalesced with its recovery'

const combine = statement(
  'notifications_combine',
  { id: 'uuid' },
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
 * Suppresses the alert of an outage that waits while its recovery waits too, so that the recovery reports both. One that
 * a replica is sending now is left alone, unless the caller itself has claimed it (`claimed`). Returns the ids of the
 * suppressed ones. Call it after the commit of a recovery, or of an outage that is retried: two transactions at the same
 * moment would not see each other's rows.
 */
export async function coalesceWithRecovery(
  on: Queryable,
  checkIds: readonly string[],
  now: number,
  claimed: readonly string[] = [],
): Promise<Set<string>> {
  const left = await on.query(combine, [checkIds, now, claimed])
  return new Set(left.map(({ id }) => id))
}

const takeBack = statement(
  'notifications_take_back',
  `UPDATE deliveries SET status = 'pending', suppression = NULL, detail = NULL, finished_at = NULL, next_attempt_at = ${instant('$4')}
   WHERE subject_id = $1 AND channel_id = $2 AND flip_seq = $3 - 1 AND kind = 'down' AND suppression = 'coalesced'`,
)

/** The recovery will not be sent, so the outage that it was to report must be sent by itself. */
export async function sendOutageSeparately(
  tx: Queryable,
  { checkId, channelId, flipSeq }: { checkId: string; channelId: string; flipSeq: number },
  now: number,
): Promise<void> {
  await tx.query(takeBack, [checkId, channelId, flipSeq, now])
}
