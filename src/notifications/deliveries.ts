// The deliveries as people see them, and the retry of a dead one for another day.

import type { WriteAudit } from '../audit/store.ts'
import type { Editor } from '../checks/editing.ts'
import { AppError } from '../core/errors.ts'
import type { Database } from '../database/service.ts'
import { isUuid } from '../kit/identifier.ts'
import { isoMillis } from '../kit/instant.ts'
import { uniqueKey } from '../messages/message.ts'
import * as store from './deliveries-store.ts'
import type { Gate, WaitReason } from './gate.ts'
import { type DeliveryStatus, eventOf } from './queue/delivery-columns.ts'

export type DeliveryDocument = {
  id: string
  /**
   * Null if the delivery is about no check. A read-only caller gets the unique key, because the uuid is the ping
   * address.
   */
  check: string | null
  /** A read-only caller gets a unique key, derived like a check's. */
  channel: string
  event: string
  flip: { at: string; from: string; to: string; reason: string } | null
  status: DeliveryStatus
  attempts: number
  next_attempt: string | null
  /** Why the channel cannot send it, if it does not wait for its own next attempt. */
  waiting_for: WaitReason | null
  last_error: string | null
  /** The id of the request that caused the flip; null for a deadline. */
  request_id: string | null
}

export type Deliveries = ReturnType<typeof createDeliveries>

export function createDeliveries(options: {
  database: Database
  writeAudit: WriteAudit
  gate: Pick<Gate, 'waitOf'>
  now: () => number
  /** The id of the project's check with this unique key. */
  checkOfKey: (projectId: string, key: string) => Promise<string | null>
  /** Called when one is due. */
  onFree: () => void
}) {
  const { database, writeAudit, gate, now, checkOfKey, onFree } = options

  /** Why a delivery waits although its own next attempt is due. */
  function waitOf(row: store.DeliveryRow, projectId: string): WaitReason | null {
    const { channelId, channelKind: kind, nextAttemptAt, leaseUntil } = row
    const at = now()
    const isUnfinished = row.status === 'pending' || row.status === 'retrying'
    const isBeingSent = leaseUntil !== null && leaseUntil > at
    if (!isUnfinished || isBeingSent || kind === null || nextAttemptAt === null) return null
    const wait = gate.waitOf({ channelId, kind, projectId }, row.retryAfterAt, at)
    if (wait === null) return null
    // The pause that a destination asked for ends just before the attempt that it delays, so whole seconds are
    // compared.
    return Math.ceil((wait.until ?? at) / 1000) >= Math.floor(nextAttemptAt / 1000) ? wait.reason : null
  }

  async function channelOfKey(projectId: string, key: string): Promise<string | null> {
    const ids = await store.selectChannelIds(database, projectId)
    return ids.find((id) => uniqueKey(id) === key) ?? null
  }

  return {
    /**
     * Newest first; `next` is the `after` of the next page, null if this is the last. `check` and `channel` of the filter are uuids or
     * unique keys.
     */
    async list(
      { projectId, readOnly }: { projectId: string; readOnly: boolean },
      { after, ...filter }: Omit<store.DeliveryFilter, 'after'> & { after?: string | undefined },
      limit: number,
    ): Promise<{ deliveries: DeliveryDocument[]; next: string | null }> {
      const position = after === undefined ? undefined : parseCursor(after)
      const [check, channel] = await Promise.all([
        idOf(filter.check, (key) => checkOfKey(projectId, key)),
        idOf(filter.channel, (key) => channelOfKey(projectId, key)),
      ])
      if (check === null || channel === null) return { deliveries: [], next: null }
      const wanted = { status: filter.status, check, channel, after: position }
      const rows = await store.selectDeliveries(database, projectId, wanted, limit + 1)
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        deliveries: page.map((row) => deliveryDocument(row, waitOf(row, projectId), readOnly)),
        next: rows.length > limit && last ? cursor(last) : null,
      }
    },

    /**
     * Retries a dead delivery for another day, with the same key. Only the latest change of a check can be sent again;
     * a recovery reports the outage before it if no alert about that was sent.
     */
    async resend(caller: Editor, id: string): Promise<DeliveryDocument> {
      const { projectId } = caller
      const row = await database.transaction(async (tx) => {
        const dead = await store.selectForResend(tx, projectId, id)
        if (dead === null) throw new AppError('not_found', 'delivery not found')
        if (dead.status !== 'dead') throw new AppError('conflict', `the delivery is ${dead.status}, not dead`)
        if (dead.channelOff) throw new AppError('conflict', 'the channel is switched off or deleted: repair it first')
        if (dead.outdated)
          throw new AppError(
            'conflict',
            'the check has changed since, or was deleted: only its latest alert can be resent',
          )
        const sent = await store.resend(tx, dead, now())
        if (sent === null) throw new AppError('conflict', 'the delivery is not dead any more')
        await writeAudit(tx, { ...caller, action: 'delivery.resend', target: id })
        return sent
      })
      onFree()
      return deliveryDocument(row, waitOf(row, projectId), false)
    },
  }
}

/** The id for a uuid or a unique key: undefined for undefined, null for a key that matches nothing. */
async function idOf(
  text: string | undefined,
  ofKey: (key: string) => Promise<string | null>,
): Promise<string | null | undefined> {
  return text === undefined || isUuid(text) ? text : ofKey(text)
}

function deliveryDocument(row: store.DeliveryRow, waitingFor: WaitReason | null, readOnly: boolean): DeliveryDocument {
  const { at, from, to, reason } = row
  const hasFlip = at !== null && from !== null && to !== null && reason !== null
  const nextAttemptAt = nextAttemptOf(row)
  const shown = (id: string) => (readOnly ? uniqueKey(id) : id)
  return {
    id: row.id,
    check: row.subjectKind === 'check' ? shown(row.subjectId) : null,
    channel: shown(row.channelId),
    event: eventOf(row),
    flip: hasFlip ? { at: isoMillis(at), from, to, reason } : null,
    status: row.status,
    attempts: row.attempts,
    next_attempt: nextAttemptAt === null ? null : isoMillis(nextAttemptAt),
    waiting_for: waitingFor,
    last_error: row.detail,
    request_id: row.requestId,
  }
}

/** Nothing is sent before the end of the pause that the destination has asked for. */
function nextAttemptOf({ status, nextAttemptAt, retryAfterAt }: store.DeliveryRow): number | null {
  if (status !== 'pending' && status !== 'retrying') return nextAttemptAt
  return nextAttemptAt === null ? retryAfterAt : Math.max(nextAttemptAt, retryAfterAt ?? 0)
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
