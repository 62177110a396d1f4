// Maintenance windows. Instants in epoch milliseconds.

import type { MaintenanceScope, MaintenanceTime } from '../../core/alerting/maintenance.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'

export type MaintenanceWindow = { id: string; name: string; time: MaintenanceTime; scope: MaintenanceScope }

type WindowRow = {
  id: string
  name: string
  from: number | null
  to: number | null
  cron: string | null
  durationS: number | null
  tz: string | null
  tags: string[] | null
  checks: string[] | null
}

const rowTypes = {
  id: 'uuid',
  name: 'text',
  from: 'timestamptz?',
  to: 'timestamptz?',
  cron: 'text?',
  durationS: 'int4?',
  tz: 'text?',
  tags: 'text[]?',
  checks: 'text[]?',
} as const
const columns = `id, name, from_at AS "from", to_at AS "to", cron, duration_s AS "durationS", tz, tags, checks::text[] AS checks`
const one = statement(
  'maintenance_one',
  rowTypes,
  `SELECT ${columns} FROM maintenance_windows WHERE project_id = $1 AND id = $2`,
)

export async function selectWindow(on: Queryable, projectId: string, id: string): Promise<MaintenanceWindow | null> {
  const [row] = await on.query(one, [projectId, id])
  return row ? toWindow(row) : null
}

export type WindowPosition = { createdAt: number; id: string }

const page = statement(
  'maintenance_page',
  { createdAt: 'timestamptz', ...rowTypes },
  `SELECT created_at AS "createdAt", ${columns} FROM maintenance_windows
   WHERE project_id = $1 AND ($2::float8 IS NULL OR (created_at, id) > (${instant('$2')}, $3::uuid))
   ORDER BY created_at, id LIMIT $4`,
)

/** In order of creation, after a position, with the position of the last. */
export async function selectWindows(
  on: Queryable,
  projectId: string,
  after: WindowPosition | null,
  limit: number,
): Promise<{ windows: MaintenanceWindow[]; last: WindowPosition | null }> {
  const values = [projectId, after?.createdAt ?? null, after?.id ?? null, limit]
  const rows = await on.query(page, values)
  const last = rows.at(-1)
  return { windows: rows.map(toWindow), last: last ? { createdAt: last.createdAt, id: last.id } : null }
}

const sizes = statement(
  'maintenance_sizes',
  { windows: 'int4', names: 'int4' },
  `SELECT count(*)::int AS windows, coalesce(sum(coalesce(cardinality(checks), 0) + coalesce(cardinality(tags), 0)), 0)::int AS names
   FROM maintenance_windows WHERE project_id = $1 AND id <> $2`,
)

/** How many other windows the project has, and how many checks and tags they name together. */
export async function countOthers(
  tx: Queryable,
  projectId: string,
  id: string,
): Promise<{ windows: number; names: number }> {
  const [row] = await tx.query(sizes, [projectId, id])
  return row as { windows: number; names: number }
}

const serial = statement('maintenance_serialise', 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))')

/** Until the end of the transaction no other transaction creates or changes a window of this project. */
export async function serialiseWindows(tx: Queryable, projectId: string): Promise<void> {
  await tx.query(serial, [`maintenance/${projectId}`])
}

// A window may name a thousand checks: only the part that may apply to the check is read. A tag of the check is somewhere
// in the text of its tags.
const current = statement(
  'maintenance_current',
  { place: 'int8', ...rowTypes },
  `SELECT w.place, m.id, m.name, m.from_at AS "from", m.to_at AS "to", m.cron, m.duration_s AS "durationS", m.tz,
     CASE WHEN m.checks IS NOT NULL THEN CASE WHEN w.check_id = ANY(m.checks) THEN ARRAY[w.check_id::text] ELSE '{}' END END AS checks,
     CASE WHEN m.tags IS NOT NULL THEN ARRAY(SELECT tag FROM unnest(m.tags) AS tag WHERE strpos(c.tags, tag) > 0) END AS tags
   FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS w(project_id, check_id, place)
     JOIN checks c ON c.id = w.check_id JOIN maintenance_windows m ON m.project_id = w.project_id
   WHERE (m.from_at IS NULL OR (m.from_at <= ${instant('$3')} AND m.to_at > ${instant('$3')}))
     AND (m.checks IS NULL AND m.tags IS NULL OR w.check_id = ANY(m.checks)
       OR EXISTS (SELECT FROM unnest(m.tags) AS tag WHERE strpos(c.tags, tag) > 0))
   ORDER BY m.created_at, m.id`,
)

/**
 * For each of these checks, in their order: the windows that may apply to it and that are open at `at` or recur. Their
 * scope is reduced to what may apply to the check.
 */
export async function selectCurrentWindows(
  on: Queryable,
  checks: readonly { projectId: string; checkId: string }[],
  at: number,
): Promise<MaintenanceWindow[][]> {
  const values = [checks.map(({ projectId }) => projectId), checks.map(({ checkId }) => checkId), at]
  const byPlace = Map.groupBy(await on.query(current, values), ({ place }) => place)
  return checks.map((_, index) => (byPlace.get(index + 1) ?? []).map(toWindow))
}

function toWindow({ id, name, from, to, cron, durationS, tz, tags, checks }: WindowRow): MaintenanceWindow {
  const time: MaintenanceTime =
    cron === null
      ? { kind: 'once', from: from ?? 0, to: to ?? 0 }
      : { kind: 'cron', cron, durationS: durationS ?? 0, tz: tz ?? 'UTC' }
  return { id, name, time, scope: { tags, checks } }
}

const write = statement(
  'maintenance_write',
  `INSERT INTO maintenance_windows (id, project_id, name, from_at, to_at, cron, duration_s, tz, tags, checks)
   VALUES ($1, $2, $3, ${instant('$4')}, ${instant('$5')}, $6, $7, $8, $9, $10::uuid[])
   ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, from_at = EXCLUDED.from_at, to_at = EXCLUDED.to_at, cron = EXCLUDED.cron,
     duration_s = EXCLUDED.duration_s, tz = EXCLUDED.tz, tags = EXCLUDED.tags, checks = EXCLUDED.checks
   WHERE maintenance_windows.project_id = $2`,
)

/** Creates the window, or replaces the one with this id. */
export async function writeWindow(tx: Queryable, projectId: string, window: MaintenanceWindow): Promise<void> {
  const { id, name, time, scope } = window
  const once = time.kind === 'once' ? time : null
  const cron = time.kind === 'cron' ? time : null
  const when = [once?.from ?? null, once?.to ?? null, cron?.cron ?? null, cron?.durationS ?? null, cron?.tz ?? null]
  await tx.query(write, [id, projectId, name, ...when, scope.tags, scope.checks])
}

const remove = statement(
  'maintenance_delete',
  { id: 'uuid' },
  'DELETE FROM maintenance_windows WHERE id = $1 AND project_id = $2 RETURNING id',
)

export async function deleteWindow(tx: Queryable, projectId: string, id: string): Promise<boolean> {
  return (await tx.query(remove, [id, projectId])).length > 0
}

const wake = statement(
  'maintenance_wake_held',
  `UPDATE deliveries SET next_attempt_at = ${instant('$2')}
   WHERE project_id = $1 AND status = 'suppressed' AND next_attempt_at IS NOT NULL AND suppression = 'maintenance'`,
)

/** A window has changed, so alerts that it suppressed are checked again. */
export async function recheckSuppressed(tx: Queryable, projectId: string, now: number): Promise<void> {
  await tx.query(wake, [projectId, now])
}

const known = statement(
  'maintenance_known',
  { id: 'uuid' },
  'SELECT id FROM checks WHERE project_id = $1 AND id = ANY($2::uuid[])',
)

/** Which of these checks the project has. */
export async function selectKnownChecks(on: Queryable, projectId: string, ids: readonly string[]): Promise<string[]> {
  return (await on.query(known, [projectId, ids])).map(({ id }) => id)
}
