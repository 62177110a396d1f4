import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'
import type { Quota } from './limits.ts'

/** The values that the operator has set for a project; the others have their defaults. */
export type OwnQuota = Partial<Quota>

const own = statement<{ quota: OwnQuota | null }>(
  'quotas_own',
  { quota: 'jsonb?' },
  'SELECT quota FROM projects WHERE id = $1',
)

/** Null if there is no such project. */
export async function selectOwnQuota(on: Queryable, projectId: string): Promise<OwnQuota | null> {
  const [row] = await on.query(own, [projectId])
  return row === undefined ? null : (row.quota ?? {})
}

const many = statement<{ id: string; quota: OwnQuota | null }>(
  'quotas_many',
  { id: 'uuid', quota: 'jsonb?' },
  'SELECT id, quota FROM projects WHERE id = ANY($1::uuid[])',
)

export async function selectOwnQuotas(on: Queryable, projectIds: readonly string[]): Promise<Map<string, OwnQuota>> {
  const rows = await on.query(many, [projectIds])
  return new Map(rows.map(({ id, quota }) => [id, quota ?? {}]))
}

const allOwn = statement<{ id: string; quota: OwnQuota }>(
  'quotas_all_own',
  { id: 'uuid', quota: 'jsonb' },
  'SELECT id, quota FROM projects WHERE quota IS NOT NULL ORDER BY id LIMIT $1',
)

/** The quotas of all projects that have one of their own. */
export async function selectAllOwn(on: Queryable, limit: number): Promise<Map<string, OwnQuota>> {
  const rows = await on.query(allOwn, [limit])
  return new Map(rows.map(({ id, quota }) => [id, quota]))
}

const write = statement('quotas_write', 'UPDATE projects SET quota = $2 WHERE id = $1')

export async function writeOwnQuota(tx: Queryable, projectId: string, quota: OwnQuota): Promise<void> {
  await tx.query(write, [projectId, Object.keys(quota).length === 0 ? null : JSON.stringify(quota)])
}

const lockOwn = statement<{ name: string; quota: OwnQuota | null }>(
  'quotas_lock_own',
  { name: 'text', quota: 'jsonb?' },
  'SELECT name, quota FROM projects WHERE id = $1 FOR NO KEY UPDATE',
)

export async function lockQuota(tx: Queryable, projectId: string): Promise<{ name: string; quota: OwnQuota } | null> {
  const [row] = await tx.query(lockOwn, [projectId])
  return row === undefined ? null : { name: row.name, quota: row.quota ?? {} }
}

const project = statement(
  'quotas_project',
  { name: 'text', createdAt: 'timestamptz' },
  'SELECT name, created_at AS "createdAt" FROM projects WHERE id = $1',
)

export async function selectProject(
  on: Queryable,
  projectId: string,
): Promise<{ name: string; createdAt: number } | null> {
  return (await on.query(project, [projectId]))[0] ?? null
}

// A count ends at the limit.
const checks = statement(
  'quotas_checks',
  { count: 'int4' },
  'SELECT count(*)::int AS count FROM (SELECT FROM checks WHERE project_id = $1 LIMIT $2) m',
)
const channels = statement(
  'quotas_channels',
  { count: 'int4' },
  'SELECT count(*)::int AS count FROM (SELECT FROM channels WHERE project_id = $1 LIMIT $2) c',
)

/** How many there are, at most `limit`. */
export async function countChecks(on: Queryable, projectId: string, limit: number): Promise<number> {
  return (await on.query(checks, [projectId, limit]))[0]?.count ?? 0
}

export async function countChannels(on: Queryable, projectId: string, limit: number): Promise<number> {
  return (await on.query(channels, [projectId, limit]))[0]?.count ?? 0
}

const bodyBytes = statement(
  'quotas_body_bytes',
  { bytes: 'float8' },
  'SELECT coalesce(sum(greatest(bytes, 0)), 0)::float8 AS bytes FROM body_usage WHERE project_id = $1',
)

export async function selectBodyBytes(on: Queryable, projectId: string): Promise<number> {
  return (await on.query(bodyBytes, [projectId]))[0]?.bytes ?? 0
}

const lockCounting = statement('quotas_lock', 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))')

/** Keeps others from adding a channel to this project until the end of the transaction. */
export async function serialiseChannels(tx: Queryable, projectId: string): Promise<void> {
  await tx.query(lockCounting, [`channels/${projectId}`])
}

const hour = "date_trunc('hour', now(), 'UTC')"
const provisioned = statement(
  'quotas_provisioned',
  { created: 'int4', leftS: 'int4' },
  `SELECT coalesce((SELECT created FROM provisioning_counts WHERE project_id = $1 AND hour_at = ${hour}), 0) AS created,
     ceil(extract(epoch FROM ${hour} + interval '1 hour' - now()))::int AS "leftS"`,
)

/** How many checks were created by ping key in this hour, and how many seconds of the hour are left. */
export async function selectProvisioned(on: Queryable, projectId: string): Promise<{ created: number; leftS: number }> {
  const [row] = await on.query(provisioned, [projectId])
  return row as { created: number; leftS: number }
}

const addProvisioned = statement(
  'quotas_add_provisioned',
  `INSERT INTO provisioning_counts AS c (project_id, hour_at, created) VALUES ($1, ${hour}, $2)
   ON CONFLICT (project_id) DO UPDATE SET hour_at = EXCLUDED.hour_at,
     created = EXCLUDED.created + CASE WHEN c.hour_at = EXCLUDED.hour_at THEN c.created ELSE 0 END`,
)

export async function countProvisioned(tx: Queryable, projectId: string, n: number): Promise<void> {
  await tx.query(addProvisioned, [projectId, n])
}
