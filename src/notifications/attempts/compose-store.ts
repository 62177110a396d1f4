// What the messages of deliveries say, read for many at once. Instants in epoch milliseconds.

import type { FlipReason, Status } from '../../core/status.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { statement as registered } from '../../database/sql.ts'

const statement = (name: string, text: string) => registered(`notifications_${name}`, text)

/** A change of a check. */
export type FlipKey = { checkId: string; flipSeq: number }

export type ComposedFlip = {
  at: number
  from: Status
  to: Status
  reason: FlipReason
  /** The project's name. */
  project: string
  blindFrom: number | null
  blindTo: number | null
  unheardReplica: string | null
  unheardFrom: number | null
}

/** The rows in the order in which they were asked for, by `place`; null where none was found. */
export function placed<Row extends { place: number }>(rows: readonly Row[], count: number): (Row | null)[] {
  const places = new Array<Row | null>(count).fill(null)
  for (const row of rows) places[row.place - 1] = row
  return places
}

// OFFSET 0: each by its key. What PostgreSQL makes of a join before it has analysed a table that grows is to read all of it.
const asked = `unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS w(check_id, seq, place)
     JOIN LATERAL (SELECT * FROM flips f WHERE f.check_id = w.check_id AND f.seq = w.seq OFFSET 0) f ON true`

const flips = statement(
  'flips',
  `SELECT w.place, f.at, f."from", f."to", f.reason, f.blind_from AS "blindFrom", f.blind_to AS "blindTo",
     f.unheard_replica AS "unheardReplica", f.unheard_from AS "unheardFrom",
     coalesce((SELECT p.name FROM projects p WHERE p.id = f.project_id), '') AS project
   FROM ${asked}`,
)

export async function selectFlips(on: Queryable, keys: readonly FlipKey[]): Promise<(ComposedFlip | null)[]> {
  const values = [keys.map(({ checkId }) => checkId), keys.map(({ flipSeq }) => flipSeq)]
  return placed(await on.query<ComposedFlip & { place: number }>(flips, values), keys.length)
}

/** The body is as received; `isMail` says that it is an e-mail message. */
export type LastPing = { exitStatus: number | null; body: Buffer | null; isMail: boolean }

const lastPings = statement(
  'last_pings',
  `SELECT w.place, h.exit_status AS "exitStatus", b.body, (h.scheme = 'email' AND h.method = '') AS "isMail"
   FROM ${asked}
     JOIN LATERAL (
       SELECT * FROM heartbeats WHERE check_id = f.check_id AND received_at <= f.at ORDER BY received_at DESC, id DESC LIMIT 1) h ON true
     LEFT JOIN heartbeat_bodies b ON b.check_id = h.check_id AND b.received_at = h.received_at AND b.id = h.id`,
)

/** The newest heartbeat up to each change. */
export async function selectLastPings(on: Queryable, keys: readonly FlipKey[]): Promise<(LastPing | null)[]> {
  const values = [keys.map(({ checkId }) => checkId), keys.map(({ flipSeq }) => flipSeq)]
  const rows = await on.query<LastPing & { place: number }>(lastPings, values)
  return placed(rows, keys.length).map(
    (row) => row && { exitStatus: row.exitStatus, body: row.body, isMail: row.isMail },
  )
}
