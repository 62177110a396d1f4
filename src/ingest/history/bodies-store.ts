// How many bytes of bodies are stored. `checks.body_bytes` counts what was written for a check, minus what its quota
// removed; what retention removes is not subtracted, so the count is never too small. `body_usage` has the sums of a
// project by day of receipt. A day may be below zero for a moment, because another replica may remove a body before its
// writer has counted it. Instants in epoch milliseconds.

import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

/** Bytes of a project by day, `YYYY-MM-DD`. */
export type Usage = { projectId: string; day: string; bytes: number }

/** Checks and projects that keep no more bodies, by their ids. It does not change while a batch is being written. */
export type ClosedToBodies = { checks: ReadonlySet<string>; projects: readonly string[] }

export const openToBodies: ClosedToBodies = { checks: new Set(), projects: [] }

const add = statement(
  'bodies_add_usage',
  `INSERT INTO body_usage AS u (project_id, day, bytes)
   SELECT project_id, day, sum(bytes) FROM unnest($1::uuid[], $2::date[], $3::bigint[]) AS d(project_id, day, bytes)
   GROUP BY project_id, day ORDER BY project_id, day
   ON CONFLICT (project_id, day) DO UPDATE SET bytes = u.bytes + EXCLUDED.bytes`,
)

/** Negative bytes are subtracted. */
export async function addUsage(on: Queryable, usage: readonly Usage[]): Promise<void> {
  if (usage.length === 0) return
  await on.query(add, [usage.map((one) => one.projectId), usage.map(({ day }) => day), usage.map(({ bytes }) => bytes)])
}

const sums = statement(
  'bodies_usage',
  { projectId: 'uuid', bytes: 'float8' },
  `SELECT project_id AS "projectId", sum(greatest(bytes, 0))::float8 AS bytes FROM body_usage WHERE project_id = ANY($1::uuid[]) GROUP BY project_id`,
)

export async function selectUsage(on: Queryable, projectIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await on.query(sums, [projectIds])
  return new Map(rows.map(({ projectId, bytes }) => [projectId, bytes]))
}

const grow = statement(
  'bodies_grow',
  { checkId: 'uuid', projectId: 'uuid', total: 'float8' },
  `UPDATE checks m SET body_bytes = m.body_bytes + d.bytes FROM unnest($1::uuid[], $2::bigint[]) AS d(id, bytes) WHERE m.id = d.id
   RETURNING m.id AS "checkId", m.project_id AS "projectId", m.body_bytes::float8 AS total`,
)

/** The bytes that are currently counted for one check. */
export type Total = { checkId: string; projectId: string; total: number }

/** Negative bytes are subtracted. */
export async function growTotals(tx: Queryable, bytes: ReadonlyMap<string, number>): Promise<Total[]> {
  return bytes.size === 0 ? [] : tx.query(grow, [[...bytes.keys()], [...bytes.values()]])
}

const total = statement(
  'bodies_total',
  { total: 'float8' },
  'SELECT body_bytes::float8 AS total FROM checks WHERE id = $1',
)

/** Null if the check does not exist any more. */
export async function selectTotal(on: Queryable, checkId: string): Promise<number | null> {
  return (await on.query(total, [checkId]))[0]?.total ?? null
}

const correct = statement('bodies_correct', 'UPDATE checks SET body_bytes = $3 WHERE id = $1 AND body_bytes = $2')

/** Changes nothing if bodies were written or removed since `before` was read. */
export async function correctTotal(on: Queryable, checkId: string, before: number, kept: number): Promise<void> {
  await on.query(correct, [checkId, before, kept])
}

export type KeptBody = { at: number; id: string; bytes: number }

const page = statement(
  'bodies_page',
  { at: 'timestamptz', id: 'uuid', bytes: 'int4' },
  `SELECT received_at AS at, id, octet_length(body) AS bytes FROM heartbeat_bodies
   WHERE check_id = $1 AND ($2::float8 IS NULL OR (received_at, id) < (to_timestamp($2 / 1000)::timestamptz(3), $3::uuid))
   ORDER BY received_at DESC, id DESC LIMIT $4`,
)

/** Newest first, after the position `after`. Reads no body. */
export async function selectKept(
  on: Queryable,
  checkId: string,
  after: { at: number; id: string } | null,
  limit: number,
): Promise<KeptBody[]> {
  return on.query(page, [checkId, after?.at ?? null, after?.id ?? null, limit])
}

const remove = statement(
  'bodies_remove',
  { day: 'text', bytes: 'float8', count: 'int4' },
  `WITH old AS MATERIALIZED (
     SELECT received_at, id FROM heartbeat_bodies
     WHERE check_id = $1 AND (received_at, id) <= (to_timestamp($2::float8 / 1000)::timestamptz(3), $3::uuid)
     ORDER BY received_at, id LIMIT $4),
   gone AS (
     DELETE FROM heartbeat_bodies b USING old WHERE b.check_id = $1 AND b.received_at = old.received_at AND b.id = old.id
     RETURNING b.received_at, octet_length(b.body) AS bytes)
   SELECT (received_at AT TIME ZONE 'UTC')::date::text AS day, sum(bytes)::float8 AS bytes, count(*)::int AS count FROM gone GROUP BY 1`,
)

/** Deletes at most `limit` of the oldest bodies up to the one at this position; returns the deleted bytes by day. */
export async function deleteBodies(
  tx: Queryable,
  checkId: string,
  upTo: { at: number; id: string },
  limit: number,
): Promise<{ day: string; bytes: number; count: number }[]> {
  return tx.query(remove, [checkId, upTo.at, upTo.id, limit])
}

const deleteUsage = statement('bodies_delete_usage', 'DELETE FROM body_usage WHERE day < $1::date')

/** Deletes the counts of days before `firstDay` (`YYYYMMDD`), whose bodies are deleted. */
export async function deleteUsageBefore(on: Queryable, firstDay: string): Promise<void> {
  await on.query(deleteUsage, [firstDay])
}
