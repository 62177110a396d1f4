// Deliveries as people see them. Instants in epoch milliseconds.

import type { FlipReason, Status } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import { instant, statement } from '../database/sql.ts'
import type { DeliveryKind, DeliveryStatus, SubjectKind, SuppressionCode } from './queue/delivery-columns.ts'

export type DeliveryPosition = { createdAt: number; flipSeq: number; id: string }
export type DeliveryFilter = {
  check?: string | undefined
  channel?: string | undefined
  status?: DeliveryStatus | undefined
  after?: DeliveryPosition | undefined
}

export type DeliveryRow = DeliveryPosition & {
  subjectKind: SubjectKind
  subjectId: string
  channelId: string
  kind: DeliveryKind
  ordinal: number
  status: DeliveryStatus
  attempts: number
  nextAttemptAt: number | null
  leaseUntil: number | null
  /** Null if the channel was deleted. */
  channelKind: string | null
  /** Until when the channel's destination has asked for a pause. */
  retryAfterAt: number | null
  suppression: SuppressionCode | null
  detail: string | null
  /** The flip; null for a delivery without a flip, or if the flip is no longer stored. */
  at: number | null
  from: Status | null
  to: Status | null
  reason: FlipReason | null
  requestId: string | null
}

const rowTypes = {
  id: 'uuid',
  subjectKind: 'text',
  subjectId: 'uuid',
  channelId: 'uuid',
  flipSeq: 'int4',
  kind: 'text',
  ordinal: 'int4',
  status: 'text',
  attempts: 'int4',
  nextAttemptAt: 'timestamptz?',
  leaseUntil: 'timestamptz?',
  channelKind: 'text?',
  retryAfterAt: 'timestamptz?',
  suppression: 'text?',
  detail: 'text?',
  createdAt: 'timestamptz',
  at: 'timestamptz?',
  from: 'text?',
  to: 'text?',
  reason: 'text?',
  requestId: 'text?',
} as const

const columns = `d.id, d.subject_kind AS "subjectKind", d.subject_id AS "subjectId", d.channel_id AS "channelId", d.flip_seq AS "flipSeq", d.kind, d.ordinal, d.status, d.attempts,
     d.next_attempt_at AS "nextAttemptAt", d.lease_until AS "leaseUntil", c.kind AS "channelKind", c.retry_after_at AS "retryAfterAt", d.suppression, d.detail, d.created_at AS "createdAt",
     f.at, f."from", f."to", f.reason, f.request_id AS "requestId"`

const joined = `LEFT JOIN flips f ON f.check_id = d.subject_id AND f.seq = d.flip_seq LEFT JOIN channels c ON c.id = d.channel_id`

const list = statement<DeliveryRow>(
  'notifications_list',
  rowTypes,
  `SELECT ${columns}
   FROM deliveries d ${joined}
   WHERE d.project_id = $1 AND ($2::uuid IS NULL OR d.subject_id = $2) AND ($3::uuid IS NULL OR d.channel_id = $3)
     AND ($4::text IS NULL OR d.status = $4)
     AND ($5::float8 IS NULL OR (d.created_at, d.flip_seq, d.id) < (${instant('$5')}, $6::int, $7::uuid))
   ORDER BY d.created_at DESC, d.flip_seq DESC, d.id DESC LIMIT $8`,
)

/** Newest first, after the position `after`. */
export async function selectDeliveries(
  on: Queryable,
  projectId: string,
  { check, channel, status, after }: DeliveryFilter,
  limit: number,
): Promise<DeliveryRow[]> {
  const position = [after?.createdAt ?? null, after?.flipSeq ?? null, after?.id ?? null]
  return on.query(list, [projectId, check ?? null, channel ?? null, status ?? null, ...position, limit])
}

const channelIds = statement(
  'notifications_channel_ids',
  { id: 'uuid' },
  'SELECT id FROM channels WHERE project_id = $1',
)

export async function selectChannelIds(on: Queryable, projectId: string): Promise<string[]> {
  return (await on.query(channelIds, [projectId])).map(({ id }) => id)
}

export type Resendable = {
  subjectId: string
  id: string
  status: DeliveryStatus
  channelOff: boolean
  /** The delivery is about a change of a check that is not the latest. */
  outdated: boolean
}

const forResend = statement<Resendable>(
  'notifications_for_resend',
  { subjectId: 'uuid', id: 'uuid', status: 'text', channelOff: 'bool', outdated: 'bool' },
  `SELECT d.subject_id AS "subjectId", d.id, d.status,
     NOT EXISTS (SELECT FROM channels c WHERE c.id = d.channel_id AND c.project_id = d.project_id AND c.disabled_at IS NULL) AS "channelOff",
     d.subject_kind = 'check' AND NOT EXISTS (SELECT FROM checks m WHERE m.id = d.subject_id AND m.flip_seq = d.flip_seq) AS outdated
   FROM deliveries d WHERE d.id = $2 AND d.project_id = $1`,
)

export async function selectForResend(on: Queryable, projectId: string, id: string): Promise<Resendable | null> {
  return (await on.query(forResend, [projectId, id]))[0] ?? null
}

const again = statement<DeliveryRow>(
  'notifications_resend',
  rowTypes,
  `WITH d AS (
     UPDATE deliveries SET status = 'pending', next_attempt_at = ${instant('$3')}, resent_at = ${instant('$3')}, finished_at = NULL
     WHERE subject_id = $1 AND id = $2 AND status = 'dead' RETURNING *)
   SELECT ${columns} FROM d ${joined}`,
)

/** Null if another call was faster. */
export async function resend(
  tx: Queryable,
  { subjectId, id }: Pick<Resendable, 'subjectId' | 'id'>,
  now: number,
): Promise<DeliveryRow | null> {
  return (await tx.query(again, [subjectId, id, now]))[0] ?? null
}
