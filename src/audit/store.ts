import type { Queryable } from '../database/connection/client.ts'
import { deletionOfOld } from '../database/old-rows.ts'
import { instant, statement } from '../database/sql.ts'

/** Who did something: a project's key kind, `admin`, `system` or `anonymous`; never a key. */
export type Actor = { actor: string; requestId?: string | undefined; address?: string | undefined }

/** `projectId` is empty for an object without a project. `detail` contains no secret. `at` is now by default. */
export type AuditEntry = Actor & {
  at?: number | undefined
  projectId?: string | undefined
  action: string
  target: string
  detail?: Record<string, unknown> | undefined
}

const insert = statement(
  'audit_insert',
  { id: 'int8' },
  `INSERT INTO audit (project_id, actor, action, target, detail, request_id, address, at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce(to_timestamp($8::float8 / 1000), now())) RETURNING id`,
)

/** Writes the entry in the transaction of the change that it records; returns its id. */
export async function writeAudit(tx: Queryable, entry: AuditEntry): Promise<number> {
  const detail = entry.detail === undefined ? null : JSON.stringify(bounded(entry.detail))
  const [row] = await tx.query(insert, [
    entry.projectId || null,
    entry.actor,
    entry.action,
    entry.target,
    detail,
    entry.requestId || null,
    entry.address || null,
    entry.at ?? null,
  ])
  return (row as { id: number }).id
}

export type WriteAudit = typeof writeAudit

const textMax = 1000
const itemsMax = 20
const itemMax = 100

/**
 * The largest detail: a page has a thousand entries, and somebody may change a list of a thousand items ten thousand
 * times.
 */
function bounded(value: unknown, max = textMax): unknown {
  if (typeof value === 'string') return value.length <= max ? value : `${value.slice(0, max).toWellFormed()}…`
  if (typeof value !== 'object' || value === null) return value
  if (!Array.isArray(value))
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, bounded(part, max)]))
  const listed = value.slice(0, itemsMax).map((item) => bounded(item, itemMax))
  return value.length <= itemsMax ? listed : [...listed, `and ${value.length - itemsMax} more`]
}

const lockSignIn = statement('audit_lock_sign_in', 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))')
const insertSignIn = statement(
  'audit_insert_sign_in',
  { id: 'int8' },
  `INSERT INTO audit (project_id, actor, action, target, request_id, address, at)
   SELECT $1::uuid, $2::text, 'auth.success', $3::text, $4::text, $5::text, ${instant('$6')}
   WHERE NOT EXISTS (SELECT FROM audit WHERE at > ${instant('$6')} - interval '1 day' AND action = 'auth.success'
     AND project_id IS NOT DISTINCT FROM $1::uuid AND actor = $2::text AND target = $3::text)
   RETURNING id`,
)

/** False if the credential was used from this network within the day before. The transaction serialises replicas. */
export async function writeSignIn(
  tx: Queryable,
  entry: { projectId: string; actor: string; network: string; requestId: string; address: string; at: number },
): Promise<boolean> {
  const { projectId, actor, network, requestId, address, at } = entry
  await tx.query(lockSignIn, [`sign-in ${projectId} ${actor} ${network}`])
  const values = [projectId || null, actor, network, requestId || null, address || null, at]
  return (await tx.query(insertSignIn, values)).length > 0
}

const amend = statement('audit_amend', 'UPDATE audit SET detail = $2 WHERE id = $1')

/** Replaces the detail of an entry that still grows. */
export async function amendAudit(on: Queryable, id: number, detail: Record<string, unknown>): Promise<void> {
  await on.query(amend, [id, JSON.stringify(detail)])
}

const shutdown = statement(
  'audit_shutdown',
  `INSERT INTO audit (actor, action, target, detail)
   SELECT 'system', 'service.shutdown', 'service', $1::jsonb
   WHERE NOT EXISTS (SELECT FROM audit WHERE action = 'service.shutdown' AND detail = $1::jsonb
     AND at >= $2::timestamptz - interval '1 day')`,
)

/** `at` is ISO 8601. A shutdown that already has its entry gets no second one. */
export async function writeShutdown(tx: Queryable, detail: { at: string } & Record<string, unknown>): Promise<void> {
  await tx.query(shutdown, [JSON.stringify(detail), new Date(detail.at).toISOString()])
}

// The entries of the service itself have no project, so the index on the project finds them.
const countShutdowns = statement(
  'audit_count_shutdowns',
  { cause: 'text', count: 'int4' },
  `SELECT detail->>'cause' AS cause, count(*)::int AS count FROM audit
   WHERE project_id IS NULL AND action = 'service.shutdown' AND detail->>'cut' IS NULL GROUP BY 1`,
)

/** The orderly shutdowns of all processes, as far as the audit log goes back. */
export async function countOrderlyShutdowns(on: Queryable): Promise<{ cause: string; count: number }[]> {
  return on.query(countShutdowns)
}

/**
 * Instants in epoch milliseconds; undefined does not filter. `before` is the id of the last entry of the previous page.
 */
export type AuditFilter = {
  projectId?: string | undefined
  action?: string | undefined
  actor?: string | undefined
  target?: string | undefined
  from?: number | undefined
  to?: number | undefined
  before?: number | undefined
}

export type AuditRow = {
  id: number
  at: number
  projectId: string | null
  actor: string
  action: string
  target: string
  detail: Record<string, unknown> | null
  requestId: string | null
  address: string | null
}

const columns = `id, at, project_id AS "projectId", actor, action, target, detail, request_id AS "requestId", address`
const matching = `($1::uuid IS NULL OR project_id = $1) AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR actor = $3)
     AND ($4::text IS NULL OR target = $4) AND ($5::float8 IS NULL OR at >= ${instant('$5')})
     AND ($6::float8 IS NULL OR at < ${instant('$6')}) AND ($7::bigint IS NULL OR id < $7)`
const list = statement<AuditRow>(
  'audit_list',
  {
    id: 'int8',
    at: 'timestamptz',
    projectId: 'uuid?',
    actor: 'text',
    action: 'text',
    target: 'text',
    detail: 'jsonb?',
    requestId: 'text?',
    address: 'text?',
  },
  `SELECT ${columns} FROM audit WHERE ${matching} ORDER BY id DESC LIMIT $8`,
)

/** Newest first. */
export async function selectAudit(on: Queryable, filter: AuditFilter, limit: number): Promise<AuditRow[]> {
  const { projectId, action, actor, target, from, to, before } = filter
  const values = [projectId, action, actor, target, from, to, before].map((value) => value ?? null)
  return on.query(list, [...values, limit])
}

export const deleteOldAudit = deletionOfOld(
  'audit',
  (before) => `DELETE FROM audit WHERE id = ANY(ARRAY(SELECT id FROM audit WHERE at < ${before} ORDER BY at LIMIT $2))`,
)
