import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'

/** A slug within a project; several checks may have it. */
export type Slug = { projectId: string; slug: string }

const bySlugs = statement(
  'slugs_find',
  { projectId: 'uuid', slug: 'text', id: 'uuid' },
  `SELECT s.project_id AS "projectId", s.slug, m.id FROM unnest($1::uuid[], $2::text[]) AS s(project_id, slug),
     LATERAL (SELECT id FROM checks WHERE project_id = s.project_id AND slug = s.slug LIMIT 2) m`,
)

/** Up to two checks per slug: a second one means that the slug is ambiguous. */
export async function selectBySlugs(on: Queryable, slugs: readonly Slug[]): Promise<(Slug & { id: string })[]> {
  return on.query(bySlugs, [slugs.map(({ projectId }) => projectId), slugs.map(({ slug }) => slug)])
}

const byTokens = statement(
  'slugs_find_tokens',
  { token: 'text', id: 'uuid', projectId: 'uuid', isPaused: 'bool' },
  `SELECT push_token::text AS token, id, project_id AS "projectId", status = 'paused' AS "isPaused" FROM checks WHERE push_token = ANY($1::text[])`,
)

/** The checks that have these tokens, in no particular order. */
export async function selectByTokens(
  on: Queryable,
  tokens: readonly string[],
): Promise<{ token: string; id: string; projectId: string; isPaused: boolean }[]> {
  return on.query(byTokens, [tokens])
}

const namespace = statement(
  'slugs_namespace',
  { namespace: 'uuid' },
  'SELECT namespace FROM provisioning_namespace WHERE id = 1',
)

/** The namespace of ids that are made from names. */
export async function selectNamespace(on: Queryable): Promise<string> {
  const [row] = await on.query(namespace)
  if (row === undefined) throw new Error('the database has no provisioning namespace')
  return row.namespace
}

const used = statement('slugs_used_ids', { id: 'uuid' }, 'SELECT id FROM provisioned_checks WHERE id = ANY($1::uuid[])')

/** Which of these ids belong or belonged to a check. */
export async function selectUsedIds(on: Queryable, ids: readonly string[]): Promise<Set<string>> {
  return new Set((await on.query(used, [ids])).map(({ id }) => id))
}

const claim = statement(
  'slugs_claim_id',
  { id: 'uuid' },
  'INSERT INTO provisioned_checks (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id',
)

/** False if the id was already claimed. */
export async function claimId(tx: Queryable, id: string): Promise<boolean> {
  return (await tx.query(claim, [id])).length > 0
}
