import type { WatchedCheck } from '../../core/check.ts'
import type { Heartbeat } from '../../core/heartbeat.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

type Past = Heartbeat & { id: string }

const columns = `check_id, received_at, id, kind, rid, exit_status`

// The heartbeats from $2 on, and enough before them to know the state at $2.
const history = statement<Past & { checkId: string }>(
  'heartbeats_history_to_judge',
  { checkId: 'uuid', at: 'timestamptz', id: 'uuid', kind: 'text', rid: 'uuid?', exitStatus: 'int4?' },
  `SELECT h.check_id AS "checkId", h.received_at AS "at", h.id, h.kind, h.rid, h.exit_status AS "exitStatus"
   FROM unnest($1::uuid[], $2::float8[]) AS m(id, since), LATERAL (
     (SELECT ${columns} FROM heartbeats WHERE check_id = m.id AND received_at >= to_timestamp(m.since / 1000)
      ORDER BY received_at DESC, id DESC LIMIT $3)
     UNION ALL
     (SELECT ${columns} FROM heartbeats WHERE check_id = m.id AND received_at < to_timestamp(m.since / 1000)
        AND received_at > to_timestamp(m.since / 1000) - interval '30 days'
      ORDER BY received_at DESC, id DESC LIMIT $4)) h
   ORDER BY h.received_at, h.id`,
)

/** The heartbeats of each check from its `unsettled.from` on, and some before it, in the order of (receive time, id). */
export async function selectHistory(
  tx: Queryable,
  checks: readonly WatchedCheck[],
  { evaluatedMax, warmUpMax }: { evaluatedMax: number; warmUpMax: number },
): Promise<Map<string, Past[]>> {
  if (checks.length === 0) return new Map()
  const rows = await tx.query(history, [
    checks.map(({ id }) => id),
    checks.map(({ unsettled }) => unsettled?.from ?? 0),
    evaluatedMax,
    warmUpMax,
  ])
  return Map.groupBy(rows, ({ checkId }) => checkId)
}

const sizes = statement(
  'heartbeats_sizes_to_judge',
  { id: 'uuid', size: 'int4' },
  `SELECT m.id, (SELECT count(*)::int FROM (SELECT FROM heartbeats h
     WHERE h.check_id = m.id AND h.received_at >= m.unsettled_from LIMIT $2) AS counted) AS size
   FROM checks m WHERE m.id = ANY($1::uuid[]) AND m.unsettled_from IS NOT NULL`,
)

/** How many heartbeats of each check are to be evaluated again, counted up to `max`. */
export async function selectSizes(on: Queryable, ids: readonly string[], max: number): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map()
  const rows = await on.query(sizes, [ids, max])
  return new Map(rows.map(({ id, size }) => [id, size]))
}
