import type { Queryable, Statement } from '../database/client.ts'

/** `projectId` is empty for what belongs to no project; `actor` is a project's key kind, `admin` or `system`; never a key. */
export type AuditEntry = {
  projectId?: string | undefined
  actor: string
  action: string
  target: string
  detail?: Record<string, unknown> | undefined
  requestId?: string | undefined
}

const insert: Statement = {
  name: 'audit_insert',
  text: 'INSERT INTO audit (project_id, actor, action, target, detail, request_id) VALUES ($1, $2, $3, $4, $5, $6)',
}

/** Writes the entry in the transaction of what it tells about. */
export async function writeAudit(tx: Queryable, entry: AuditEntry): Promise<void> {
  const detail = entry.detail === undefined ? null : JSON.stringify(entry.detail)
  await tx.query(insert, [
    entry.projectId || null,
    entry.actor,
    entry.action,
    entry.target,
    detail,
    entry.requestId ?? null,
  ])
}

export type WriteAudit = typeof writeAudit
