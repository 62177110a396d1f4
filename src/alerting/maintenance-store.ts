// Maintenance windows. Instants in epoch milliseconds.

import type { MaintenanceScope, MaintenanceTime } from '../core/maintenance.ts'
import type { Queryable, Statement } from '../database/client.ts'

export type MaintenanceWindow = { id: string; name: string; time: MaintenanceTime; scope: MaintenanceScope }

const statement = (name: string, text: string): Statement => ({ name: `maintenance_${name}`, text })
const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`

type Row = {
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

const columns = `id, name, from_at AS "from", to_at AS "to", cron, duration_s AS "durationS", tz, tags, checks::text[] AS checks`
/** Of a project at once; more are refused. */
export const windowsMax = 1000

const list = statement(
  'list',
  `SELECT ${columns} FROM maintenance_windows
   WHERE project_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY created_at, id LIMIT ${windowsMax}`,
)

/** In order of creation. */
export async function selectWindows(on: Queryable, projectId: string, id?: string): Promise<MaintenanceWindow[]> {
  return (await on.query<Row>(list, [projectId, id ?? null])).map(toWindow)
}

const current = statement(
  'current',
  `SELECT project_id AS "projectId", ${columns} FROM maintenance_windows
   WHERE project_id = ANY($1::uuid[]) AND (from_at IS NULL OR (from_at <= ${instant('$2')} AND to_at > ${instant('$2')}))
   ORDER BY created_at, id`,
)

/** Of each of these projects, in their order: windows that are open at `at`, or may be, because they come again and again. */
export async function selectCurrentWindows(
  on: Queryable,
  projectIds: readonly string[],
  at: number,
): Promise<MaintenanceWindow[][]> {
  const rows = await on.query<Row & { projectId: string }>(current, [[...new Set(projectIds)], at])
  const byProject = Map.groupBy(rows, ({ projectId }) => projectId)
  return projectIds.map((id) => (byProject.get(id) ?? []).map(toWindow))
}

function toWindow({ id, name, from, to, cron, durationS, tz, tags, checks }: Row): MaintenanceWindow {
  const time: MaintenanceTime =
    cron === null
      ? { kind: 'once', from: from ?? 0, to: to ?? 0 }
      : { kind: 'cron', cron, durationS: durationS ?? 0, tz: tz ?? 'UTC' }
  return { id, name, time, scope: { tags, checks } }
}

const write = statement(
  'write',
  `INSERT INTO maintenance_windows (id, project_id, name, from_at, to_at, cron, duration_s, tz, tags, checks)
   VALUES ($1, $2, $3, ${instant('$4')}, ${instant('$5')}, $6, $7, $8, $9, $10::uuid[])
   ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, from_at = EXCLUDED.from_at, to_at = EXCLUDED.to_at, cron = EXCLUDED.cron,
     duration_s = EXCLUDED.duration_s, tz = EXCLUDED.tz, tags = EXCLUDED.tags, checks = EXCLUDED.checks
   WHERE maintenance_windows.project_id = $2`,
)

/** Makes it, or replaces the one of this id. */
export async function writeWindow(tx: Queryable, projectId: string, window: MaintenanceWindow): Promise<void> {
  const { id, name, time, scope } = window
  const once = time.kind === 'once' ? time : null
  const cron = time.kind === 'cron' ? time : null
  const when = [once?.from ?? null, once?.to ?? null, cron?.cron ?? null, cron?.durationS ?? null, cron?.tz ?? null]
  await tx.query(write, [id, projectId, name, ...when, scope.tags, scope.checks])
}

const remove = statement('delete', 'DELETE FROM maintenance_windows WHERE id = $1 AND project_id = $2 RETURNING id')

export async function deleteWindow(tx: Queryable, projectId: string, id: string): Promise<boolean> {
  return (await tx.query(remove, [id, projectId])).length > 0
}

const wake = statement(
  'wake_held',
  `UPDATE deliveries SET next_attempt_at = ${instant('$2')}
   WHERE project_id = $1 AND status = 'suppressed' AND next_attempt_at IS NOT NULL AND held = 'maintenance'`,
)

/** A window has changed: what it held back is looked at again. */
export async function lookAgain(tx: Queryable, projectId: string, now: number): Promise<void> {
  await tx.query(wake, [projectId, now])
}

const known = statement('known', 'SELECT id FROM monitors WHERE project_id = $1 AND id = ANY($2::uuid[])')

/** Which of these checks the project has. */
export async function selectKnownChecks(on: Queryable, projectId: string, ids: readonly string[]): Promise<string[]> {
  return (await on.query<{ id: string }>(known, [projectId, ids])).map(({ id }) => id)
}
