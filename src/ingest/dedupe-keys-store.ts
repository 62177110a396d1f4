import type { Queryable } from '../database/connection/client.ts'
import { deletionOfOld } from '../database/old-rows.ts'
import { statement } from '../database/sql.ts'

/** The key that a sender gives a heartbeat so that the check counts it once. */
export type DedupeKey = { checkId: string; key: string }

const known = statement(
  'heartbeat_keys_known',
  { checkId: 'uuid', key: 'text' },
  `SELECT k.check_id AS "checkId", k.key FROM unnest($1::uuid[], $2::text[]) AS given(check_id, key)
   JOIN heartbeat_keys k ON k.check_id = given.check_id AND k.key = given.key`,
)

/** The keys that have already been recorded. Reliable only while the checks are locked. */
export async function selectKnownKeys(tx: Queryable, keys: readonly DedupeKey[]): Promise<DedupeKey[]> {
  if (keys.length === 0) return []
  return tx.query(known, [keys.map(({ checkId }) => checkId), keys.map(({ key }) => key)])
}

const insert = statement(
  'heartbeat_keys_insert',
  `INSERT INTO heartbeat_keys (check_id, key) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING`,
)

export async function insertKeys(tx: Queryable, keys: readonly DedupeKey[]): Promise<void> {
  if (keys.length > 0) await tx.query(insert, [keys.map(({ checkId }) => checkId), keys.map(({ key }) => key)])
}

export const deleteOldKeys = deletionOfOld(
  'heartbeat_keys',
  (before) => `DELETE FROM heartbeat_keys WHERE (check_id, key) IN (
     SELECT check_id, key FROM heartbeat_keys WHERE recorded_at < ${before} ORDER BY recorded_at LIMIT $2)`,
)
