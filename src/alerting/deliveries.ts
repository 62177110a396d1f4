// What has become of alerts, for people, and another try for those that were given up.

import { AppError } from '../core/errors.ts'
import { isoMillis } from '../core/instant.ts'
import type { Database } from '../database/service.ts'
import * as store from './deliveries-store.ts'

export type DeliveryDocument = {
  id: string
  check: string
  channel: string
  flip: { at: string; from: string; to: string; reason: string } | null
  status: store.DeliveryStatus
  attempts: number
  next_attempt: string | null
  last_error: string | null
  /** Of the request that caused the flip; null if time did. */
  request_id: string | null
}

export type Deliveries = ReturnType<typeof createDeliveries>

export function createDeliveries({ database }: { database: Database }) {
  return {
    /** Newest first; `next` is the `after` of the next page, null if this is the last. */
    async list(
      projectId: string,
      { after, ...filter }: Omit<store.DeliveryFilter, 'after'> & { after?: string | undefined },
      limit: number,
    ): Promise<{ deliveries: DeliveryDocument[]; next: string | null }> {
      const position = after === undefined ? undefined : parseCursor(after)
      const rows = await store.selectDeliveries(database, projectId, { ...filter, after: position }, limit + 1)
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return { deliveries: page.map(deliveryDocument), next: rows.length > limit && last ? cursor(last) : null }
    },
  }
}

function deliveryDocument(row: store.DeliveryRow): DeliveryDocument {
  const { at, from, to, reason } = row
  return {
    id: row.id,
    check: row.monitorId,
    channel: row.channelId,
    flip: at === null ? null : { at: isoMillis(at), from, to, reason },
    status: row.status,
    attempts: row.attempts,
    next_attempt: row.nextAttemptAt === null ? null : isoMillis(row.nextAttemptAt),
    last_error: row.lastError,
    request_id: row.requestId,
  }
}

function cursor({ createdAt, flipSeq, id }: store.DeliveryPosition): string {
  return Buffer.from(`${createdAt}.${flipSeq}.${id}`).toString('base64url')
}

function parseCursor(text: string): store.DeliveryPosition {
  const parts = /^(\d{1,15})\.(\d{1,9})\.([0-9a-f-]{36})$/.exec(Buffer.from(text, 'base64url').toString())
  if (parts === null || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(parts[3] as string))
    throw new AppError('bad_request', 'after is not the next of an earlier answer', { field: 'after' })
  return { createdAt: Number(parts[1]), flipSeq: Number(parts[2]), id: parts[3] as string }
}
