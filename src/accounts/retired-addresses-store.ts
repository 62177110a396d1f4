// Former addresses of projects: uuids of deleted checks, replaced ping keys, keys of badges. Jobs may still send to
// them and pages may still show them, so only the same project may have them again. The modules accounts and checks
// share this table; rows stay when their project is deleted.

import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'

export type AddressKind = 'check' | 'check_badge' | 'ping_key' | 'project_badge' | 'push_token'

const owner = statement(
  'retired_addresses_owner',
  { id: 'uuid' },
  'SELECT project_id AS id FROM retired_addresses WHERE kind = $1 AND value = $2',
)

/**
 * The last project with this address; null if there was none. Call it after the query for the current owner, as a
 * statement of its own (read committed): an address is given up and retired in the same transaction.
 */
export async function selectRetiredBy(on: Queryable, kind: AddressKind, value: Buffer): Promise<string | null> {
  return (await on.query(owner, [kind, value]))[0]?.id ?? null
}

const keyOwners = statement(
  'retired_addresses_key_owners',
  { hash: 'bytea', projectId: 'uuid', retiredAt: 'float8' },
  `SELECT r.value AS hash, r.project_id AS "projectId", (extract(epoch FROM r.retired_at) * 1000)::float8 AS "retiredAt"
   FROM retired_addresses r JOIN projects p ON p.id = r.project_id WHERE r.kind = 'ping_key' AND r.value = ANY($1::bytea[])`,
)

/** The projects of former ping keys with these hashes, and until when they were valid, in epoch milliseconds. */
export async function selectRetiredKeys(
  on: Queryable,
  hashes: readonly Buffer[],
): Promise<{ hash: Buffer; projectId: string; retiredAt: number }[]> {
  return on.query(keyOwners, [hashes])
}

const checkOwners = statement(
  'retired_addresses_check_owners',
  { id: 'uuid', projectId: 'uuid' },
  `SELECT given.id, r.project_id AS "projectId" FROM unnest($1::uuid[]) AS given(id)
   JOIN retired_addresses r ON r.kind = 'check' AND r.value = uuid_send(given.id)`,
)

/** The project of each uuid that was a check's. */
export async function selectRetiredChecks(on: Queryable, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await on.query(checkOwners, [ids])
  return new Map(rows.map(({ id, projectId }) => [id, projectId]))
}

const addressesOf = (checks: string) =>
  `INSERT INTO retired_addresses (kind, value, project_id)
   SELECT address.kind, address.value, m.project_id FROM ${checks} m,
     LATERAL (VALUES ('check', uuid_send(m.id)), ('check_badge', uuid_send(m.badge_key)), ('push_token', convert_to(m.push_token, 'UTF8'))) AS address(kind, value)
   WHERE address.value IS NOT NULL
   ON CONFLICT DO NOTHING`
const retireOne = statement(
  'retired_addresses_retire_check',
  addressesOf('(SELECT id, badge_key, push_token, project_id FROM checks WHERE id = $1 AND project_id = $2)'),
)

/** Call it before the check is deleted. */
export async function retireCheck(tx: Queryable, projectId: string, id: string): Promise<void> {
  await tx.query(retireOne, [id, projectId])
}

const retireSome = statement(
  'retired_addresses_retire_checks',
  { id: 'uuid' },
  `WITH part AS MATERIALIZED (
     SELECT id, badge_key, push_token, project_id FROM checks WHERE project_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3),
   retired AS (${addressesOf('part')} RETURNING 1)
   SELECT id FROM part ORDER BY id DESC LIMIT 1`,
)
const atOnce = 20_000

/** Retires the addresses of all checks of a project, in parts that stay below the time limit of a statement. */
export async function retireChecksOf(tx: Queryable, projectId: string): Promise<void> {
  let after: string | null = null
  do {
    const [last]: { id: string }[] = await tx.query(retireSome, [projectId, after, atOnce])
    after = last?.id ?? null
  } while (after !== null)
}

const retireToken = statement(
  'retired_addresses_retire_push_token',
  `INSERT INTO retired_addresses (kind, value, project_id)
   SELECT 'push_token', convert_to(push_token, 'UTF8'), project_id FROM checks WHERE id = $1 AND push_token IS NOT NULL ON CONFLICT DO NOTHING`,
)

/** Call it before the token of the check is changed. */
export async function retirePushToken(tx: Queryable, id: string): Promise<void> {
  await tx.query(retireToken, [id])
}

const retireKeys = statement(
  'retired_addresses_retire_ping_keys',
  `INSERT INTO retired_addresses (kind, value, project_id)
   SELECT 'ping_key', hash, project_id FROM project_keys
   WHERE project_id = $1 AND kind = 'ping_key' AND ($2::bytea IS NULL OR hash <> $2) ON CONFLICT DO NOTHING`,
)

/** Retires the project's ping key, unless its hash is `except`. */
export async function retirePingKey(tx: Queryable, projectId: string, except: Buffer | null): Promise<void> {
  await tx.query(retireKeys, [projectId, except])
}

const retireBadge = statement(
  'retired_addresses_retire_project_badge',
  `INSERT INTO retired_addresses (kind, value, project_id)
   SELECT 'project_badge', convert_to(badge_key, 'UTF8'), id FROM projects
   WHERE id = $1 AND ($2::text IS NULL OR badge_key <> $2) ON CONFLICT DO NOTHING`,
)

/** Retires the key of the project's badges, unless it is `except`. */
export async function retireProjectBadge(tx: Queryable, projectId: string, except: string | null): Promise<void> {
  await tx.query(retireBadge, [projectId, except])
}
