// Reads the audit log: who changed what, when and from where.

import { AppError } from '../core/errors.ts'
import type { Database } from '../database/service.ts'
import { isoMillis } from '../kit/instant.ts'
import { type AuditFilter, type AuditRow, selectAudit } from './store.ts'

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

export function createAuditTrail({ database }: { database: Database }) {
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
  }
}

function auditDocument({ id, at, projectId, requestId, ...rest }: AuditRow): AuditDocument {
  return { ...rest, id, at: isoMillis(at), project: projectId, request_id: requestId }
}
