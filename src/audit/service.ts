// The audit trail, read: who changed what, when and from where.

import { AppError } from '../core/errors.ts'
import { isoMillis } from '../core/instant.ts'
import type { Database } from '../database/service.ts'
import { type AuditFilter, type AuditRow, deleteAudit, selectAudit } from './store.ts'

export type AuditDocument = {
  id: number
  at: string
  project: string | null
  actor: string
  address: string | null
  action: string
  target: string
  detail: Record<string, unknown> | null
  request_id: string | null
}

export type AuditTrail = ReturnType<typeof createAuditTrail>

const dayMs = 86_400_000
const sweepBatch = 5000
/** In one go: the rest waits an hour, so that a large heap of old entries is no load. */
const sweepBatchesMax = 20

export function createAuditTrail(options: { database: Database; retentionDays: number }) {
  const { database, retentionDays } = options

  return {
    /** Newest first; `next` is the `after` of the next page, null if this is the last. */
    async list(
      filter: Omit<AuditFilter, 'before'> & { after?: string | undefined },
      limit: number,
    ): Promise<{ entries: AuditDocument[]; next: string | null }> {
      const { after, ...rest } = filter
      if (after !== undefined && !/^\d{1,15}$/.test(after))
        throw new AppError('bad_request', 'after is not the next of an earlier answer', { field: 'after' })
      const before = after === undefined ? undefined : Number(after)
      const rows = await selectAudit(database, { ...rest, before }, limit + 1)
      const page = rows.slice(0, limit)
      return { entries: page.map(auditDocument), next: rows.length > limit ? String(page.at(-1)?.id) : null }
    },

    /** Deletes what is older than the retention; returns how many entries. */
    async sweep(): Promise<number> {
      const until = database.clock.now() - retentionDays * dayMs
      let deleted = 0
      for (let i = 0; i < sweepBatchesMax; i++) {
        const count = await deleteAudit(database, until, sweepBatch)
        deleted += count
        if (count < sweepBatch) break
      }
      return deleted
    },
  }
}

function auditDocument({ id, at, projectId, requestId, ...rest }: AuditRow): AuditDocument {
  return { ...rest, id, at: isoMillis(at), project: projectId, request_id: requestId }
}
