import type { Queryable } from '../database/client.ts'
import { statement } from '../database/sql.ts'

/** What the addresses of a project's badges are made of: a name, and the key of their signatures. */
export type BadgeProject = { id: string; badgeKey: string; secret: Buffer }

const columns = 'id, badge_key AS "badgeKey", badge_secret AS secret'
const byId = statement<BadgeProject>(
  'badges_project',
  { id: 'uuid', badgeKey: 'text', secret: 'bytea' },
  `SELECT ${columns} FROM projects WHERE id = $1`,
)
const byKey = statement<BadgeProject>(
  'badges_project_by_key',
  { id: 'uuid', badgeKey: 'text', secret: 'bytea' },
  `SELECT ${columns} FROM projects WHERE badge_key = $1`,
)

export async function selectProject(on: Queryable, id: string): Promise<BadgeProject | null> {
  return (await on.query(byId, [id]))[0] ?? null
}

export async function selectProjectByBadgeKey(on: Queryable, badgeKey: string): Promise<BadgeProject | null> {
  return (await on.query(byKey, [badgeKey]))[0] ?? null
}

// No constraint can keep the keys apart on a distributed database: of two that were brought here at once the older keeps its badge.
const check = statement(
  'badges_check',
  { id: 'uuid', projectId: 'uuid' },
  'SELECT id, project_id AS "projectId" FROM checks WHERE badge_key = $1 ORDER BY created_at, id LIMIT 1',
)

export async function selectCheckByBadgeKey(
  on: Queryable,
  badgeKey: string,
): Promise<{ id: string; projectId: string } | null> {
  return (await on.query(check, [badgeKey]))[0] ?? null
}
