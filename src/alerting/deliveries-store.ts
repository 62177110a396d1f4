// Deliveries as people see them. Instants in epoch milliseconds.

import type { FlipReason, Status } from '../core/status.ts'
import type { Queryable, Statement } from '../database/client.ts'

const statement = (name: string, text: string): Statement => ({ name: `alerting_${name}`, text })
const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`

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
  `SELECT d.id, d.monitor_id AS "monitorId", d.channel_id AS "channelId", d.flip_seq AS "flipSeq", d.status, d.attempts,
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
