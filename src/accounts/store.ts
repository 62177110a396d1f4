import type { Queryable } from '../database/connection/client.ts'
import type { PrismaClient } from '../database/generated/client.ts'
import { statement } from '../database/sql.ts'
import { retireChecksOf, retirePingKey, retireProjectBadge } from './retired-addresses-store.ts'

export const keyKinds = ['api_key', 'api_key_readonly', 'ping_key'] as const
export type KeyKind = (typeof keyKinds)[number]

export type KeyOwner = { projectId: string; kind: KeyKind; hash: Buffer }

const byHash = statement<KeyOwner>(
  'keys_by_hash',
  { projectId: 'uuid', kind: 'text', hash: 'bytea' },
  'SELECT project_id AS "projectId", kind, hash FROM project_keys WHERE hash = $1',
)

export async function selectKey(on: Queryable, hash: Buffer): Promise<KeyOwner | null> {
  const [row] = await on.query(byHash, [hash])
  return row ?? null
}

const byHashes = statement<KeyOwner>(
  'keys_by_hashes',
  { projectId: 'uuid', kind: 'text', hash: 'bytea' },
  'SELECT project_id AS "projectId", kind, hash FROM project_keys WHERE hash = ANY($1::bytea[])',
)

export async function selectKeys(on: Queryable, hashes: readonly Buffer[]): Promise<KeyOwner[]> {
  return on.query(byHashes, [hashes])
}

const upsert = statement(
  'keys_upsert',
  { kind: 'text' },
  `INSERT INTO project_keys (project_id, kind, hash, mailbox_hash) VALUES ($1, $2, $3, $4)
    ON CONFLICT (project_id, kind) DO UPDATE SET hash = EXCLUDED.hash, mailbox_hash = EXCLUDED.mailbox_hash, created_at = now()
      WHERE project_keys.hash <> EXCLUDED.hash
    RETURNING kind`,
)

const completeMailbox = statement(
  'keys_complete_mailbox',
  `UPDATE project_keys SET mailbox_hash = $3 WHERE project_id = $1 AND kind = $2 AND mailbox_hash IS NULL`,
)

export type KeyHashes = { hash: Buffer; mailboxHash: Buffer | null }

/**
 * False if the key was already this one. A replaced ping key stays reserved for the project, because jobs still send
 * with it.
 */
export async function writeKey(
  tx: Queryable,
  projectId: string,
  kind: KeyKind,
  { hash, mailboxHash }: KeyHashes,
): Promise<boolean> {
  if (kind === 'ping_key') await retirePingKey(tx, projectId, hash)
  const isNew = (await tx.query(upsert, [projectId, kind, hash, mailboxHash])).length > 0
  // An older version stored no mailbox hash.
  if (!isNew && mailboxHash) await tx.query(completeMailbox, [projectId, kind, mailboxHash])
  return isNew
}

const byMailboxHash = statement(
  'keys_by_mailbox_hash',
  { projectId: 'uuid' },
  'SELECT project_id AS "projectId" FROM project_keys WHERE mailbox_hash = $1 AND kind = \'ping_key\' LIMIT 2',
)

/** The project whose ping key has this hash in lower case; null if there is none, or more than one. */
export async function selectProjectByMailbox(on: Queryable, hash: Buffer): Promise<string | null> {
  const [row, another] = await on.query(byMailboxHash, [hash])
  return another ? null : (row?.projectId ?? null)
}

const kindsOf = statement<{ kind: KeyKind }>(
  'keys_kinds',
  { kind: 'text' },
  'SELECT kind FROM project_keys WHERE project_id = $1',
)

export async function selectKeyKinds(on: Queryable, projectId: string): Promise<KeyKind[]> {
  return (await on.query(kindsOf, [projectId])).map(({ kind }) => kind)
}

const insert = statement('projects_insert', 'INSERT INTO projects (id, name) VALUES ($1, $2)')

export async function insertProject(tx: Queryable, id: string, name: string): Promise<void> {
  await tx.query(insert, [id, name])
}

const byName = statement(
  'projects_by_name',
  { id: 'uuid' },
  'SELECT id FROM projects WHERE name = $1 ORDER BY created_at, id LIMIT 1',
)

export async function selectProjectByName(on: Queryable, name: string): Promise<string | null> {
  const [row] = await on.query(byName, [name])
  return row?.id ?? null
}

/** The parts of the addresses of a project's badges: a key as the name, and the secret of the signatures. */
export type BadgeProject = { id: string; badgeKey: string; secret: Buffer }

const badgeColumns = 'id, badge_key AS "badgeKey", badge_secret AS secret'
const badgeProject = statement<BadgeProject>(
  'projects_badge',
  { id: 'uuid', badgeKey: 'text', secret: 'bytea' },
  `SELECT ${badgeColumns} FROM projects WHERE id = $1`,
)
const byBadgeKey = statement<BadgeProject>(
  'projects_by_badge_key',
  { id: 'uuid', badgeKey: 'text', secret: 'bytea' },
  `SELECT ${badgeColumns} FROM projects WHERE badge_key = $1`,
)

export async function selectBadgeProject(on: Queryable, id: string): Promise<BadgeProject | null> {
  return (await on.query(badgeProject, [id]))[0] ?? null
}

export async function selectProjectByBadgeKey(on: Queryable, badgeKey: string): Promise<BadgeProject | null> {
  return (await on.query(byBadgeKey, [badgeKey]))[0] ?? null
}

const badgeKeys = statement(
  'projects_badge_keys',
  { id: 'uuid' },
  `UPDATE projects SET badge_key = coalesce($2, badge_key), badge_secret = coalesce($3, badge_secret) WHERE id = $1
    AND (badge_key IS DISTINCT FROM coalesce($2, badge_key) OR badge_secret IS DISTINCT FROM coalesce($3, badge_secret)) RETURNING id`,
)

/** Null leaves a value unchanged. False if nothing changed. A replaced badge key stays reserved for the project. */
export async function writeBadgeKeys(
  tx: Queryable,
  projectId: string,
  badgeKey: string | null,
  secret: Buffer | null,
): Promise<boolean> {
  if (badgeKey !== null) await retireProjectBadge(tx, projectId, badgeKey)
  return (await tx.query(badgeKeys, [projectId, badgeKey, secret])).length > 0
}

const lock = statement('projects_lock', "SELECT pg_advisory_xact_lock(hashtextextended('bootstrap', 0))")

/** Serialises replicas that start at once on an empty database. */
export async function serialiseBootstrap(tx: Queryable): Promise<void> {
  await tx.query(lock)
}

export type Project = { id: string; name: string; createdAt: Date }

/** In order of creation, after the one with id `after`. */
export async function selectProjects(
  prisma: PrismaClient,
  limit: number,
  after: string | undefined,
): Promise<Project[]> {
  return prisma.project.findMany({
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    take: limit,
    ...(after === undefined ? {} : { cursor: { id: after }, skip: 1 }),
  })
}

// Once the project is locked no check can be added, so the addresses of all its checks are retired.
const lockOne = statement('projects_lock_one', { id: 'uuid' }, 'SELECT id FROM projects WHERE id = $1 FOR UPDATE')
const remove = statement('projects_delete', { name: 'text' }, 'DELETE FROM projects WHERE id = $1 RETURNING name')

/**
 * Deletes a project with its keys, checks and channels; returns its name, null if there is none. No other project can
 * get its addresses.
 */
export async function deleteProject(tx: Queryable, id: string): Promise<string | null> {
  await tx.query(lockOne, [id])
  await retireChecksOf(tx, id)
  await retirePingKey(tx, id, null)
  await retireProjectBadge(tx, id, null)
  const [deleted] = await tx.query(remove, [id])
  return deleted?.name ?? null
}
