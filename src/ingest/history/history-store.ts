// Reads the recorded heartbeats. Instants in epoch milliseconds.

import type { HeartbeatKind } from '../../core/heartbeat.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

export type HistoryRow = {
  n: number
  kind: HeartbeatKind
  receivedAt: number
  scheme: string
  remoteAddr: string
  method: string
  ua: string
  rid: string | null
  durationMs: number | null
  bodySize: number
}

const newest = statement<HistoryRow & { startMayLieBefore: boolean }>(
  'heartbeats_newest',
  {
    n: 'int8',
    kind: 'text',
    receivedAt: 'timestamptz',
    scheme: 'text',
    remoteAddr: 'text',
    method: 'text',
    ua: 'text',
    rid: 'uuid?',
    bodySize: 'int4',
    durationMs: 'float8?',
    startMayLieBefore: 'bool',
  },
  `SELECT n, kind, received_at AS "receivedAt", scheme, remote_addr AS "remoteAddr", method, ua, rid,
     CASE WHEN body_size > 0 AND EXISTS (SELECT FROM heartbeat_bodies b
       WHERE b.check_id = $1 AND b.received_at = newest.received_at AND b.id = newest.id) THEN body_size ELSE 0 END AS "bodySize",
     coalesce(CASE WHEN kind IN ('success', 'fail') AND lag(kind) OVER run = 'start'
         AND received_at - lag(received_at) OVER run <= interval '72 hours'
       THEN (extract(epoch FROM received_at - lag(received_at) OVER run) * 1000)::float8 END, duration_ms) AS "durationMs",
     kind IN ('success', 'fail') AND lag(kind) OVER run IS NULL AND read = $2::int + $3::int AS "startMayLieBefore"
   FROM (SELECT *, count(*) OVER () AS read
     FROM (SELECT * FROM heartbeats WHERE check_id = $1 ORDER BY received_at DESC, id DESC LIMIT $2::int + $3::int) h) newest
   WINDOW run AS (PARTITION BY rid, kind IN ('start', 'success', 'fail') ORDER BY n)
   ORDER BY n DESC LIMIT $2::int`,
)

/** How many more rows than requested are read: heartbeats of the same instant may be numbered in another order. */
const beyond = 100
/** As many more are read because the start of a run may lie before the first listed heartbeat. */
const farBeyond = 1000

/**
 * Newest first, by number. Walks the primary key backwards, partition by partition. A duration is the time since the
 * nearest start of the same run that has no end yet, whatever other runs were open; few runs have so many heartbeats
 * between their start and their end that the start is further back.
 */
export async function selectNewest(on: Queryable, checkId: string, limit: number): Promise<HistoryRow[]> {
  const read = (more: number) => on.query(newest, [checkId, limit, more])
  const rows = await read(beyond)
  return rows.some(({ startMayLieBefore }) => startMayLieBefore) ? read(farBeyond) : rows
}

const bodyOf = statement(
  'heartbeats_body',
  { body: 'bytea' },
  `SELECT b.body FROM (SELECT check_id, received_at, id, n FROM heartbeats WHERE check_id = $1 ORDER BY received_at DESC, id DESC LIMIT $3) h
   JOIN heartbeat_bodies b ON b.check_id = h.check_id AND b.received_at = h.received_at AND b.id = h.id
   WHERE h.n = $2`,
)

/** The body of heartbeat number `n`, if it has one and is among the newest `limit`. */
export async function selectBody(on: Queryable, checkId: string, n: number, limit: number): Promise<Buffer | null> {
  const [row] = await on.query(bodyOf, [checkId, n, limit])
  return row?.body ?? null
}
