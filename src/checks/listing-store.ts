// Reads checks: one, many, page by page, and their flips. Instants in epoch milliseconds.

import type { Status } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import { deletionOfOld } from '../database/old-rows.ts'
import { type ColumnsOf, instant, statement } from '../database/sql.ts'
import { type CheckRow, checkColumns, toCheck, uniqueKey } from './fields/columns.ts'
import type { Check, Settings } from './fields/fields.ts'

/** A check with the ids of its channels, sorted and joined by commas. */
export type CheckWithChannels = Check & { channels: string }

type ListedRow = CheckRow & { channels: string }

const withChannels = (row: ListedRow): CheckWithChannels => ({ ...toCheck(row), channels: row.channels })

const columns: ColumnsOf<ListedRow> = { ...checkColumns.types, channels: 'text' }

const channels = `coalesce((SELECT string_agg(mc.channel_id::text, ',' ORDER BY mc.channel_id::text)
  FROM check_channels mc WHERE mc.check_id = m.id), '') AS channels`

const one = statement<ListedRow>(
  'checks_select_one',
  columns,
  `SELECT ${checkColumns.list}, ${channels} FROM checks m WHERE m.id = $1 AND m.project_id = $2`,
)

/** Null if the project has no check with this id. */
export async function selectOwnCheck(on: Queryable, projectId: string, id: string): Promise<CheckWithChannels | null> {
  const [row] = await on.query(one, [id, projectId])
  return row ? withChannels(row) : null
}

const exists = statement('checks_exists', { id: 'uuid' }, 'SELECT id FROM checks WHERE id = $1')

/** Searches all projects: for pings, whose address is the credential. */
export async function selectExists(on: Queryable, id: string): Promise<boolean> {
  return (await on.query(exists, [id])).length > 0
}

const many = statement<ListedRow>(
  'checks_select_many',
  columns,
  `SELECT ${checkColumns.list}, ${channels} FROM checks m WHERE m.id = ANY($1::uuid[])`,
)

/** The checks with these ids, of any project and in no particular order. */
export async function selectChecks(on: Queryable, ids: readonly string[]): Promise<CheckWithChannels[]> {
  return (await on.query(many, [ids])).map(withChannels)
}

const badgeKeyTaken = statement(
  'checks_badge_key',
  { id: 'uuid' },
  'SELECT id FROM checks WHERE badge_key = $1 LIMIT 1',
)

export async function selectBadgeKeyTaken(on: Queryable, badgeKey: string): Promise<boolean> {
  return (await on.query(badgeKeyTaken, [badgeKey])).length > 0
}

const owners = statement(
  'checks_owners',
  { id: 'uuid', projectId: 'uuid' },
  'SELECT id, project_id AS "projectId" FROM checks WHERE id = ANY($1::uuid[])',
)

/** The project of each of these ids that is a check's. */
export async function selectOwners(on: Queryable, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await on.query(owners, [ids])
  return new Map(rows.map(({ id, projectId }) => [id, projectId]))
}

const idByUniqueKey = statement(
  'checks_by_unique_key',
  { id: 'uuid' },
  'SELECT id FROM checks WHERE project_id = $1 AND unique_key = $2',
)

/** The id of this project's check with the key; null if there is none. */
export async function selectIdByUniqueKey(on: Queryable, projectId: string, key: string): Promise<string | null> {
  const [row] = await on.query(idByUniqueKey, [projectId, key])
  return row?.id ?? null
}

const withoutKey = statement(
  'checks_without_unique_key',
  { id: 'uuid' },
  'SELECT id FROM checks WHERE project_id = $1 AND unique_key IS NULL LIMIT $2',
)
const writeKeys = statement(
  'checks_write_unique_keys',
  `UPDATE checks m SET unique_key = k.unique_key FROM unnest($1::uuid[], $2::text[]) AS k(id, unique_key)
   WHERE m.id = k.id AND m.unique_key IS NULL`,
)

/** Fills in the unique keys of checks that an older version created, at most `limit`; returns their number. */
export async function fillUniqueKeys(tx: Queryable, projectId: string, limit: number): Promise<number> {
  const ids = (await tx.query(withoutKey, [projectId, limit])).map(({ id }) => id).sort()
  if (ids.length > 0) await tx.query(writeKeys, [ids, ids.map(uniqueKey)])
  return ids.length
}

export type Position = { createdAt: number; id: string }
export type ListFilter = { slug: string | null; tags: readonly string[]; after: Position | null }

// The tag of a check is somewhere in its text: the database excludes what cannot match, the caller compares whole
// words.
const pageOf = (name: string, channels: string) =>
  statement<ListedRow>(
    name,
    columns,
    `SELECT ${checkColumns.list}, ${channels} FROM checks m
   WHERE m.project_id = $1 AND ($2::text IS NULL OR m.slug = $2)
     AND NOT EXISTS (SELECT FROM unnest($3::text[]) AS tag WHERE strpos(m.tags, tag) = 0)
     AND ($4::float8 IS NULL OR (m.created_at, m.id) > (${instant('$4')}, $5::uuid))
   ORDER BY m.created_at, m.id LIMIT $6`,
  )
const page = pageOf('checks_page', channels)
const pageOfReadings = pageOf('checks_page_of_readings', "'' AS channels")

/**
 * In order of creation, after a position. Some rows may only contain a tag of the filter within another tag. Without
 * channels it costs half as much.
 */
export async function selectPage(
  on: Queryable,
  projectId: string,
  { slug, tags, after }: ListFilter,
  limit: number,
  { withChannels: isWhole = true } = {},
): Promise<CheckWithChannels[]> {
  const values = [projectId, slug, tags, after?.createdAt ?? null, after?.id ?? null, limit]
  return (await on.query(isWhole ? page : pageOfReadings, values)).map(withChannels)
}

const byFields = statement(
  'checks_by_fields',
  { id: 'uuid' },
  `SELECT id FROM checks WHERE project_id = $1 AND ($2::text IS NULL OR name = $2) AND ($3::text IS NULL OR slug = $3)
     AND ($4::text IS NULL OR tags = $4) AND ($5::int IS NULL OR timeout_s = $5) AND ($6::int IS NULL OR grace_s = $6)
   ORDER BY created_at, id LIMIT 1`,
)

/** The oldest check of the project with all of these settings. */
export async function selectIdByFields(
  on: Queryable,
  projectId: string,
  { name, slug, tags, timeoutS, graceS }: Partial<Settings>,
): Promise<string | null> {
  const values = [name, slug, tags, timeoutS, graceS].map((value) => value ?? null)
  const [row] = await on.query(byFields, [projectId, ...values])
  return row?.id ?? null
}

export type FlipRow = { seq: number; at: number; to: Status }

/** `from` is inclusive, `to` exclusive; `before` is the seq of the last known flip. */
export type FlipFilter = { from: number | null; to: number | null; before: number | null }

const flips = statement<FlipRow>(
  'checks_flips',
  { seq: 'int4', at: 'timestamptz', to: 'text' },
  `SELECT seq, at, "to" FROM flips
   WHERE check_id = $1 AND ($2::float8 IS NULL OR at >= ${instant('$2')}) AND ($3::float8 IS NULL OR at < ${instant('$3')})
     AND ($4::int IS NULL OR seq < $4)
   ORDER BY seq DESC LIMIT $5`,
)

/** The newest first. */
export async function selectFlips(
  on: Queryable,
  checkId: string,
  { from, to, before }: FlipFilter,
  limit: number,
): Promise<FlipRow[]> {
  return on.query(flips, [checkId, from, to, before, limit])
}

const owned = statement(
  'checks_owned',
  { id: 'uuid' },
  'SELECT id FROM checks WHERE project_id = $1 AND id = ANY($2::uuid[])',
)

export async function selectOwned(on: Queryable, projectId: string, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  return new Set((await on.query(owned, [projectId, ids])).map(({ id }) => id))
}

// No constraint can keep the keys unique on a distributed database: if two checks get the same key at once, the older
// one keeps its badge.
const byBadgeKey = statement(
  'checks_by_badge_key',
  { id: 'uuid', projectId: 'uuid' },
  'SELECT id, project_id AS "projectId" FROM checks WHERE badge_key = $1 ORDER BY created_at, id LIMIT 1',
)

export async function selectCheckByBadgeKey(
  on: Queryable,
  badgeKey: string,
): Promise<{ id: string; projectId: string } | null> {
  return (await on.query(byBadgeKey, [badgeKey]))[0] ?? null
}

/** Those that the outbox has not processed stay. */
export const deleteOldFlips = deletionOfOld(
  'flips',
  (before) => `DELETE FROM flips WHERE (check_id, seq) IN (
     SELECT check_id, seq FROM flips WHERE noticed_at < ${before} AND processed_at IS NOT NULL
     ORDER BY noticed_at LIMIT $2)`,
)
