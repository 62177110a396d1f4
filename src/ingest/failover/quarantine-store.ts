import type { Queryable } from '../../database/connection/client.ts'
import { deletionOfOld } from '../../database/old-rows.ts'
import { instant, statement } from '../../database/sql.ts'

/** Instants in epoch milliseconds. `code` is an SQLSTATE or empty. */
export type Quarantined = {
  id: string
  receivedAt: number | null
  projectId: string | null
  checkId: string | null
  code: string
  rule: string
  nextAttemptAt: number | null
  payload: Buffer
}

export type QuarantineRow = Quarantined & { quarantinedAt: number; attempts: number }

// A repeated replay finds its entries already stored.
const insert = statement(
  'quarantine_insert',
  { id: 'uuid' },
  `INSERT INTO quarantined_heartbeats (id, received_at, project_id, check_id, code, rule, next_attempt_at, payload)
   SELECT $1::uuid, ${instant('$2')}, $3::uuid, $4::uuid, $5::text, $6::text, ${instant('$7')}, $8::bytea
   WHERE (SELECT count(*) FROM quarantined_heartbeats) < $9::int
     OR EXISTS (SELECT FROM quarantined_heartbeats WHERE id = $1::uuid)
   ON CONFLICT (id) DO UPDATE SET code = EXCLUDED.code, rule = EXCLUDED.rule
   RETURNING id`,
)

/** False if there is no room. */
export async function insertQuarantined(on: Queryable, one: Quarantined, entriesMax: number): Promise<boolean> {
  const { id, receivedAt, projectId, checkId, code, rule, nextAttemptAt, payload } = one
  const values = [id, receivedAt, projectId, checkId, code, rule, nextAttemptAt, payload, entriesMax]
  return (await on.query(insert, values)).length > 0
}

const fields = `id, quarantined_at AS "quarantinedAt", received_at AS "receivedAt", project_id AS "projectId", check_id AS "checkId",
  code, rule, attempts, next_attempt_at AS "nextAttemptAt", payload`
const columns = {
  id: 'uuid',
  quarantinedAt: 'timestamptz',
  receivedAt: 'timestamptz?',
  projectId: 'uuid?',
  checkId: 'uuid?',
  code: 'text',
  rule: 'text',
  attempts: 'int4',
  nextAttemptAt: 'timestamptz?',
  payload: 'bytea',
} as const

const page = statement<QuarantineRow>(
  'quarantine_page',
  columns,
  `SELECT ${fields} FROM quarantined_heartbeats
   WHERE $2::uuid IS NULL OR (quarantined_at, id) < (SELECT quarantined_at, id FROM quarantined_heartbeats WHERE id = $2::uuid)
   ORDER BY quarantined_at DESC, id DESC LIMIT $1`,
)

/** Newest first, after the one with id `after`. */
export async function selectPage(on: Queryable, limit: number, after: string | null): Promise<QuarantineRow[]> {
  return on.query(page, [limit, after])
}

const some = statement<QuarantineRow>(
  'quarantine_some',
  columns,
  `SELECT ${fields} FROM quarantined_heartbeats WHERE id = ANY($1::uuid[]) ORDER BY received_at, id`,
)

export async function selectQuarantined(on: Queryable, ids: readonly string[]): Promise<QuarantineRow[]> {
  return on.query(some, [ids])
}

const due = statement<QuarantineRow>(
  'quarantine_due',
  columns,
  `SELECT ${fields} FROM quarantined_heartbeats WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1`,
)

/** Those whose next attempt is due. */
export async function selectDue(on: Queryable, limit: number): Promise<QuarantineRow[]> {
  return on.query(due, [limit])
}

const oldest = statement<QuarantineRow>(
  'quarantine_oldest',
  columns,
  `SELECT ${fields} FROM quarantined_heartbeats ORDER BY quarantined_at, id LIMIT $1`,
)

export async function selectOldest(on: Queryable, limit: number): Promise<QuarantineRow[]> {
  return on.query(oldest, [limit])
}

const remove = statement(
  'quarantine_remove',
  { id: 'uuid' },
  'DELETE FROM quarantined_heartbeats WHERE id = ANY($1::uuid[]) RETURNING id',
)

/** Returns those that existed. */
export async function deleteQuarantined(on: Queryable, ids: readonly string[]): Promise<string[]> {
  return (await on.query(remove, [ids])).map(({ id }) => id)
}

const failed = statement(
  'quarantine_failed',
  `UPDATE quarantined_heartbeats SET attempts = attempts + 1, code = $2, rule = $3, next_attempt_at = ${instant('$4')} WHERE id = $1`,
)

export async function updateFailed(
  on: Queryable,
  { id, code, rule, nextAttemptAt }: Pick<Quarantined, 'id' | 'code' | 'rule' | 'nextAttemptAt'>,
): Promise<void> {
  await on.query(failed, [id, code, rule, nextAttemptAt])
}

const count = statement('quarantine_count', { n: 'int4' }, 'SELECT count(*)::int AS n FROM quarantined_heartbeats')

export async function countQuarantined(on: Queryable): Promise<number> {
  const [row] = await on.query(count)
  return row?.n ?? 0
}

export const deleteOldQuarantined = deletionOfOld(
  'quarantined_heartbeats',
  (before) => `DELETE FROM quarantined_heartbeats WHERE id IN (
     SELECT id FROM quarantined_heartbeats WHERE quarantined_at < ${before} ORDER BY quarantined_at LIMIT $2)`,
)
