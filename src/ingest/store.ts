import type { HeartbeatKind } from '../core/heartbeat.ts'
import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'
import type { ByCheck, Received } from './signal.ts'

/** A heartbeat as it is stored: what was received, its number within its check, and its kind by the state machine. */
export type Recorded = {
  checkId: string
  received: Received
  n: number
  kind: HeartbeatKind
  durationMs: number | null
}

const insert = statement(
  'heartbeats_insert',
  `INSERT INTO heartbeats (check_id, received_at, id, n, kind, exit_status, rid, duration_ms, scheme, method, remote_addr, ua, body_size)
   SELECT check_id, to_timestamp(at / 1000), id, n, kind, exit_status, rid, duration_ms, scheme, method, remote_addr, ua, body_size
   FROM unnest($1::uuid[], $2::float8[], $3::uuid[], $4::bigint[], $5::text[], $6::int[], $7::uuid[], $8::bigint[], $9::text[],
     $10::text[], $11::text[], $12::text[], $13::int[])
     AS h(check_id, at, id, n, kind, exit_status, rid, duration_ms, scheme, method, remote_addr, ua, body_size)`,
)

const insertBodies = statement(
  'heartbeats_insert_bodies',
  `INSERT INTO heartbeat_bodies (check_id, received_at, id, body)
   SELECT check_id, to_timestamp(at / 1000), id, body
   FROM unnest($1::uuid[], $2::float8[], $3::uuid[], $4::bytea[]) AS h(check_id, at, id, body)`,
)

/** `keepsBody` decides which bodies are stored; the size is stored in any case. */
export async function insertHeartbeats(
  tx: Queryable,
  rows: readonly Recorded[],
  keepsBody: (checkId: string) => boolean,
): Promise<void> {
  if (rows.length === 0) return
  const column = <T>(pick: (row: Recorded) => T): T[] => rows.map(pick)
  const inserted = tx.query(insert, [
    column(({ checkId }) => checkId),
    column(({ received }) => received.at),
    column(({ received }) => received.id),
    column(({ n }) => n),
    column(({ kind }) => kind),
    column(({ received }) => received.exitStatus),
    column(({ received }) => received.rid),
    column(({ durationMs }) => durationMs),
    column(({ received }) => received.sender.scheme),
    column(({ received }) => received.sender.method),
    column(({ received }) => received.sender.remoteAddr),
    column(({ received }) => received.sender.ua),
    column(({ received }) => received.body?.length ?? 0),
  ])
  const withBody = rows.filter(({ checkId, received }) => received.body !== null && keepsBody(checkId))
  const bodies =
    withBody.length > 0 &&
    tx.query(insertBodies, [
      withBody.map(({ checkId }) => checkId),
      withBody.map(({ received }) => received.at),
      withBody.map(({ received }) => received.id),
      withBody.map(({ received }) => received.body),
    ])
  await Promise.all([inserted, bodies])
}

const removeTrial = statement('heartbeats_remove_trial', 'DELETE FROM heartbeats WHERE check_id = $1 AND id = $1')

/** Stores a heartbeat without a check, received at `at`, and removes it again. `id` is a new uuid. */
export async function tryInsert(tx: Queryable, id: string, at: number): Promise<void> {
  const sender = { scheme: '', method: '', remoteAddr: '', ua: '' }
  const received = { id, at, exitStatus: null, rid: null, body: null, sender } as Received
  await insertHeartbeats(tx, [{ checkId: id, received, n: 0, kind: 'log', durationMs: null }], () => false)
  await tx.query(removeTrial, [id])
}

// One look-up in the index for each, whatever the planner estimates: it has no statistics of today's partition, and
// would read all of it.
const existing = statement(
  'heartbeats_existing',
  { id: 'uuid' },
  `SELECT h.id FROM unnest($1::uuid[], $2::float8[], $3::uuid[]) AS r(check_id, at, id), LATERAL (
     SELECT id FROM heartbeats
     WHERE check_id = r.check_id AND received_at = to_timestamp(r.at / 1000)::timestamptz(3) AND id = r.id LIMIT 1) h`,
)

/** Which of these have already been recorded, by a commit whose outcome was unknown. */
export async function selectRecorded(tx: Queryable, byCheck: ByCheck): Promise<Set<string>> {
  const received = [...byCheck.values()].flat()
  const rows = await tx.query(existing, [
    [...byCheck].flatMap(([checkId, its]) => its.map(() => checkId)),
    received.map(({ at }) => at),
    received.map(({ id }) => id),
  ])
  return new Set(rows.map(({ id }) => id))
}

const recent = statement(
  'heartbeats_recent',
  { checkId: 'uuid', at: 'timestamptz' },
  `SELECT m.id AS "checkId", h.received_at AS "at" FROM unnest($1::uuid[], $2::int[]) AS m(id, newest),
     LATERAL (SELECT received_at FROM heartbeats
       WHERE check_id = m.id AND received_at > to_timestamp($3::float8 / 1000) ORDER BY received_at DESC LIMIT m.newest) h`,
)

/** When the `newest` last heartbeats of each check were received, as far as that was after `since`. */
export async function selectRecent(
  tx: Queryable,
  checks: readonly { id: string; newest: number }[],
  since: number,
): Promise<{ checkId: string; at: number }[]> {
  return tx.query(recent, [checks.map(({ id }) => id), checks.map(({ newest }) => newest), since])
}

const remove = [
  statement('heartbeat_bodies_delete_of_check', 'DELETE FROM heartbeat_bodies WHERE check_id = $1'),
  statement('heartbeats_delete_of_check', 'DELETE FROM heartbeats WHERE check_id = $1'),
]

/** Deletes the heartbeats of a check and their bodies. */
export async function deleteHeartbeats(tx: Queryable, checkId: string): Promise<void> {
  for (const each of remove) await tx.query(each, [checkId])
}
