// The outbox and the deliveries. Instants in epoch milliseconds.

import type { FlipReason, Status } from '../core/status.ts'
import type { Queryable, Statement } from '../database/client.ts'
import type { Verdict } from './verdict.ts'

const statement = (name: string, text: string): Statement => ({ name: `alerting_${name}`, text })
const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`
const unfinished = (row: string) => `${row}.status IN ('pending', 'retrying')`

// --- step one: from flips to deliveries ---------------------------------------------------------------------------

const pick = statement(
  'pick',
  'SELECT DISTINCT monitor_id AS id FROM flips WHERE processed_at IS NULL ORDER BY monitor_id LIMIT $1',
)

export async function pickMonitorsWithFlips(on: Queryable, limit: number): Promise<string[]> {
  return (await on.query<{ id: string }>(pick, [limit])).map(({ id }) => id)
}

export type ClaimedFlip = { monitorId: string; seq: number; projectId: string; to: Status }

const claimFlips_ = statement(
  'claim_flips',
  `UPDATE flips SET processed_at = now() WHERE monitor_id = ANY($1::uuid[]) AND processed_at IS NULL
   RETURNING monitor_id AS "monitorId", seq, project_id AS "projectId", "to"`,
)

/**
 * All unprocessed flips of these monitors, in order. Who claims a later flip while an earlier one is in another's hands
 * waits for that one to commit, so that no recovery is visible before its outage.
 */
export async function claimFlips(tx: Queryable, monitorIds: readonly string[]): Promise<ClaimedFlip[]> {
  const flips = await tx.query<ClaimedFlip>(claimFlips_, [monitorIds])
  return flips.sort((a, b) => (a.monitorId === b.monitorId ? a.seq - b.seq : a.monitorId < b.monitorId ? -1 : 1))
}

const insert = statement(
  'insert',
  `INSERT INTO deliveries (monitor_id, id, project_id, channel_id, flip_seq, event, status, next_attempt_at, created_at)
   SELECT f.monitor_id, gen_random_uuid(), f.project_id, c.id, f.seq, f.event, 'pending', ${instant('$5')}, ${instant('$5')}
   FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[]) AS f(monitor_id, seq, project_id, event)
     JOIN monitor_channels mc ON mc.monitor_id = f.monitor_id
     JOIN channels c ON c.id = mc.channel_id AND c.project_id = f.project_id AND c.disabled_at IS NULL
   ORDER BY f.monitor_id, f.seq, c.id
   ON CONFLICT (monitor_id, flip_seq, channel_id, event) DO NOTHING
   RETURNING id`,
)

/** One delivery for each flip and channel of its monitor that is switched on. Returns how many were made. */
export async function insertDeliveries(
  tx: Queryable,
  flips: readonly (ClaimedFlip & { event: string })[],
  now: number,
): Promise<number> {
  const made = await tx.query(insert, [
    flips.map(({ monitorId }) => monitorId),
    flips.map(({ seq }) => seq),
    flips.map(({ projectId }) => projectId),
    flips.map(({ event }) => event),
    now,
  ])
  return made.length
}

// --- step two: due deliveries -------------------------------------------------------------------------------------

/** `kind` is the channel's, `unknown` if it has just been deleted. */
export type DueDelivery = { monitorId: string; id: string; channelId: string; kind: string; attempts: number }

const kind = `coalesce((SELECT c.kind FROM channels c WHERE c.id = d.channel_id), 'unknown') AS kind`

const due = statement(
  'due',
  `SELECT d.monitor_id AS "monitorId", d.id, d.channel_id AS "channelId", ${kind}, d.attempts FROM deliveries d
   WHERE ${unfinished('d')} AND d.next_attempt_at <= ${instant('$1')} AND d.channel_id <> ALL($2::uuid[])
     AND NOT EXISTS (
       SELECT FROM deliveries e
       WHERE e.monitor_id = d.monitor_id AND e.channel_id = d.channel_id AND e.flip_seq < d.flip_seq AND ${unfinished('e')})
   ORDER BY d.next_attempt_at LIMIT $3`,
)

/** Those with no earlier unfinished one of the same monitor and channel, the longest due first, save for `busy` channels. */
export async function selectDue(
  on: Queryable,
  now: number,
  busy: readonly string[],
  limit: number,
): Promise<DueDelivery[]> {
  return on.query<DueDelivery>(due, [now, busy, limit])
}

export type ClaimedDelivery = DueDelivery & {
  projectId: string
  flipSeq: number
  /** With `disabled` the delivery is about a channel, whose id stands for the monitor's. */
  event: 'down' | 'up' | 'disabled'
  createdAt: number
  /** Of the request that caused the flip; null if time did. */
  requestId: string | null
}

const claim = statement(
  'claim',
  `UPDATE deliveries d SET attempts = d.attempts + 1, next_attempt_at = ${instant('$5')}
   FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS seen(monitor_id, id, attempts)
   WHERE d.monitor_id = seen.monitor_id AND d.id = seen.id AND d.attempts = seen.attempts
     AND ${unfinished('d')} AND d.next_attempt_at <= ${instant('$4')}
   RETURNING d.monitor_id AS "monitorId", d.id, d.channel_id AS "channelId", ${kind}, d.attempts, d.project_id AS "projectId",
     d.flip_seq AS "flipSeq", d.event, d.created_at AS "createdAt",
     (SELECT f.request_id FROM flips f WHERE f.monitor_id = d.monitor_id AND f.seq = d.flip_seq) AS "requestId"`,
)

/** Compare-and-set on what was seen: returns those that nobody else has claimed meanwhile. They are ours until `leaseUntil`. */
export async function claimDeliveries(
  tx: Queryable,
  seen: readonly DueDelivery[],
  now: number,
  leaseUntil: number,
): Promise<ClaimedDelivery[]> {
  return tx.query<ClaimedDelivery>(claim, [
    seen.map(({ monitorId }) => monitorId),
    seen.map(({ id }) => id),
    seen.map(({ attempts }) => attempts),
    now,
    leaseUntil,
  ])
}

const finish = statement(
  'finish',
  `UPDATE deliveries d SET status = $4::text, next_attempt_at = ${instant('$5')}, last_error = $6,
     finished_at = CASE WHEN $4::text <> 'retrying' THEN ${instant('$7')} END
   WHERE d.monitor_id = $1 AND d.id = $2 AND d.attempts = $3 AND ${unfinished('d')} RETURNING d.id`,
)

/** False if the attempt is not the latest any more, or somebody has ended the delivery. */
export async function writeVerdict(
  tx: Queryable,
  { monitorId, id, attempts }: Pick<DueDelivery, 'monitorId' | 'id' | 'attempts'>,
  verdict: Verdict,
  now: number,
): Promise<boolean> {
  const { status, nextAttemptAt, lastError } = verdict
  return (await tx.query(finish, [monitorId, id, attempts, status, nextAttemptAt, lastError, now])).length > 0
}

export type ExpiredDelivery = Pick<
  ClaimedDelivery,
  'id' | 'projectId' | 'channelId' | 'kind' | 'attempts' | 'requestId'
> & {
  lastError: string
}

const expire = statement(
  'expire',
  `UPDATE deliveries d SET status = 'dead', next_attempt_at = NULL, finished_at = ${instant('$3')},
     last_error = coalesce(d.last_error, $4)
   FROM (SELECT monitor_id, id FROM deliveries d
         WHERE ${unfinished('d')} AND d.channel_id = ANY($1::uuid[]) AND d.created_at <= ${instant('$2')}
           AND d.next_attempt_at <= ${instant('$3')}
         ORDER BY d.monitor_id, d.id LIMIT $5) old
   WHERE d.monitor_id = old.monitor_id AND d.id = old.id AND ${unfinished('d')} AND d.next_attempt_at <= ${instant('$3')}
   RETURNING d.id, d.project_id AS "projectId", d.channel_id AS "channelId", ${kind}, d.attempts, d.last_error AS "lastError",
     (SELECT f.request_id FROM flips f WHERE f.monitor_id = d.monitor_id AND f.seq = d.flip_seq) AS "requestId"`,
)

const expiredMax = 1000

/** Those of these channels that were made up to `createdUntil` and are in nobody's hands, a bounded number. */
export async function expireDeliveries(
  tx: Queryable,
  channelIds: readonly string[],
  createdUntil: number,
  now: number,
  lastError: string,
): Promise<ExpiredDelivery[]> {
  return tx.query<ExpiredDelivery>(expire, [channelIds, createdUntil, now, lastError, expiredMax])
}

export type ToldFlip = {
  at: number
  from: Status
  to: Status
  reason: FlipReason
  blindFrom: number | null
  blindTo: number | null
}

const flip = statement(
  'flip',
  `SELECT at, "from", "to", reason, blind_from AS "blindFrom", blind_to AS "blindTo" FROM flips
   WHERE monitor_id = $1 AND seq = $2`,
)

export async function selectFlip(on: Queryable, monitorId: string, seq: number): Promise<ToldFlip | null> {
  const [row] = await on.query<ToldFlip>(flip, [monitorId, seq])
  return row ?? null
}

export type LastPing = { exitStatus: number | null; body: Buffer | null }

const lastPing = statement(
  'last_ping',
  `SELECT h.exit_status AS "exitStatus", b.body
   FROM (SELECT * FROM heartbeats WHERE monitor_id = $1 AND received_at <= ${instant('$2')}
         ORDER BY received_at DESC, id DESC LIMIT 1) h
     LEFT JOIN heartbeat_bodies b ON b.monitor_id = h.monitor_id AND b.received_at = h.received_at AND b.id = h.id`,
)

/** The newest heartbeat up to `until`. */
export async function selectLastPing(on: Queryable, monitorId: string, until: number): Promise<LastPing | null> {
  const [row] = await on.query<LastPing>(lastPing, [monitorId, until])
  return row ?? null
}

// --- what people see ----------------------------------------------------------------------------------------------

export const deliveryStatuses = ['pending', 'sent', 'retrying', 'dead', 'suppressed'] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

export type DeliveryPosition = { createdAt: number; flipSeq: number; id: string }
export type DeliveryFilter = {
  check?: string | undefined
  channel?: string | undefined
  status?: DeliveryStatus | undefined
  after?: DeliveryPosition | undefined
}

export type DeliveryRow = DeliveryPosition & {
  monitorId: string
  channelId: string
  event: string
  status: DeliveryStatus
  attempts: number
  nextAttemptAt: number | null
  lastError: string | null
  at: number | null
  from: Status
  to: Status
  reason: FlipReason
  requestId: string | null
}

const list = statement(
  'list',
  `SELECT d.id, d.monitor_id AS "monitorId", d.channel_id AS "channelId", d.flip_seq AS "flipSeq", d.event, d.status,
     d.attempts,
     d.next_attempt_at AS "nextAttemptAt", d.last_error AS "lastError", d.created_at AS "createdAt",
     f.at, f."from", f."to", f.reason, f.request_id AS "requestId"
   FROM deliveries d LEFT JOIN flips f ON f.monitor_id = d.monitor_id AND f.seq = d.flip_seq
   WHERE d.project_id = $1 AND ($2::uuid IS NULL OR d.monitor_id = $2) AND ($3::uuid IS NULL OR d.channel_id = $3)
     AND ($4::text IS NULL OR d.status = $4)
     AND ($5::float8 IS NULL OR (d.created_at, d.flip_seq, d.id) < (${instant('$5')}, $6::int, $7::uuid))
   ORDER BY d.created_at DESC, d.flip_seq DESC, d.id DESC LIMIT $8`,
)

/** Newest first, behind the position `after`. */
export async function selectDeliveries(
  on: Queryable,
  projectId: string,
  { check, channel, status, after }: DeliveryFilter,
  limit: number,
): Promise<DeliveryRow[]> {
  const position = [after?.createdAt ?? null, after?.flipSeq ?? null, after?.id ?? null]
  return on.query<DeliveryRow>(list, [projectId, check ?? null, channel ?? null, status ?? null, ...position, limit])
}

const count = statement('count', `SELECT count(*) AS count FROM deliveries d WHERE ${unfinished('d')}`)

export async function countUnfinished(on: Queryable): Promise<number> {
  return (await on.query<{ count: number }>(count))[0]?.count ?? 0
}
