// What the page of a check shows to people who have only a link to it. Instants in epoch milliseconds.

import type { HeartbeatKind } from '../../core/heartbeat.ts'
import type { FlipReason } from '../../core/status.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

export type LatestFlip = { at: number; reason: FlipReason }

const flip = statement<LatestFlip>(
  'check_page_flip',
  { at: 'timestamptz', reason: 'text' },
  'SELECT at, reason FROM flips WHERE check_id = $1 ORDER BY seq DESC LIMIT 1',
)

export async function selectLatestFlip(on: Queryable, checkId: string): Promise<LatestFlip | null> {
  return (await on.query(flip, [checkId]))[0] ?? null
}

export type SeenPing = { n: number; kind: HeartbeatKind; at: number; exitStatus: number | null }

const pings = statement<SeenPing>(
  'check_page_pings',
  { n: 'int8', kind: 'text', at: 'timestamptz', exitStatus: 'int4?' },
  `SELECT n, kind, received_at AS at, exit_status AS "exitStatus" FROM heartbeats WHERE check_id = $1
   ORDER BY received_at DESC, id DESC LIMIT $2`,
)

/** The newest first. */
export async function selectSeenPings(on: Queryable, checkId: string, limit: number): Promise<SeenPing[]> {
  return on.query(pings, [checkId, limit])
}
