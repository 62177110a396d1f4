import type { BlindWindow } from '../core/blind-time.ts'
import type { Outage, ReplicaReport } from '../core/watermark.ts'
import type { Queryable } from '../database/connection/client.ts'
import { deletionOfOld } from '../database/old-rows.ts'
import { statement } from '../database/sql.ts'

const milliseconds = (parameter: string) => `${parameter}::float8 * interval '1 millisecond'`
const longPause = `clock_timestamp() - acceptance.until_at > ${milliseconds('$1')}`

// One statement, because all replicas share the row: a replica that is stopped in the middle of a transaction would
// hold its lock, and no other could record, detect or accept meanwhile. The right-hand sides see the row as it was, so
// exactly one of several replicas sees a gap. Time in which that replica accepted heartbeats was not blind.
const record = statement(
  'blind_time_record',
  `WITH recorded AS (
     INSERT INTO acceptance (id, previous_at, until_at) VALUES (1, clock_timestamp(), clock_timestamp())
     ON CONFLICT (id) DO UPDATE SET previous_at = acceptance.until_at, until_at = clock_timestamp(),
       outage_from = CASE WHEN ${longPause} THEN acceptance.until_at ELSE acceptance.outage_from END,
       outage_to = CASE WHEN ${longPause} THEN clock_timestamp() ELSE acceptance.outage_to END
     RETURNING previous_at, until_at)
   INSERT INTO blind_windows (from_at, to_at)
   SELECT previous_at, until_at - ${milliseconds('$2')} FROM recorded
   WHERE until_at - ${milliseconds('$2')} - previous_at > ${milliseconds('$1')}
   ON CONFLICT (from_at) DO UPDATE SET to_at = greatest(blind_windows.to_at, EXCLUDED.to_at)`,
)
const all = statement<BlindWindow>(
  'blind_time_all',
  { from: 'timestamptz', to: 'timestamptz' },
  'SELECT from_at AS "from", to_at AS "to" FROM blind_windows ORDER BY from_at',
)

/**
 * Records that heartbeats are accepted now, by the database's clock, and were accepted here for the last
 * `acceptedForMs`. If no replica has recorded that for longer than `blindAfterMs`, the gap becomes a window, except for
 * the time in which heartbeats were accepted here.
 */
export async function recordAcceptance(on: Queryable, blindAfterMs: number, acceptedForMs: number): Promise<void> {
  await on.query(record, [blindAfterMs, acceptedForMs])
}

export async function selectWindows(on: Queryable): Promise<BlindWindow[]> {
  return on.query(all)
}

const shorten = statement(
  'blind_time_shorten',
  `UPDATE blind_windows SET to_at = clock_timestamp() - ${milliseconds('$1')}
   WHERE from_at < clock_timestamp() - ${milliseconds('$1')} AND to_at > clock_timestamp() - ${milliseconds('$1')}`,
)
const remove = statement(
  'blind_time_remove',
  `DELETE FROM blind_windows WHERE from_at >= clock_timestamp() - ${milliseconds('$1')}`,
)

/**
 * Another replica may have recorded a window over time in which heartbeats were accepted here: the last
 * `acceptedForMs`.
 */
export async function correctWindows(on: Queryable, acceptedForMs: number): Promise<void> {
  await on.query(shorten, [acceptedForMs])
  await on.query(remove, [acceptedForMs])
}

const closed = statement(
  'blind_time_closed',
  `INSERT INTO blind_windows (from_at, to_at)
   SELECT greatest(to_timestamp($1::float8 / 1000), b.to_at), a.until_at
   FROM acceptance a, LATERAL (SELECT max(to_at) AS to_at FROM blind_windows WHERE to_at <= a.until_at) b
   WHERE a.until_at > greatest(to_timestamp($1::float8 / 1000), b.to_at)
   ON CONFLICT (from_at) DO UPDATE SET to_at = greatest(blind_windows.to_at, EXCLUDED.to_at)`,
)

/**
 * Records that from this instant on the database answered, so that acceptance was recorded, but stored no heartbeat.
 */
export async function recordClosed(on: Queryable, since: number): Promise<void> {
  await on.query(closed, [since])
}

const cut = statement<BlindWindow>(
  'blind_time_cut',
  { from: 'timestamptz', to: 'timestamptz' },
  `WITH undone AS (DELETE FROM blind_windows WHERE from_at >= now()),
   kept AS (
     UPDATE blind_windows SET to_at = now() WHERE from_at < now() AND to_at > now() RETURNING from_at, to_at)
   SELECT from_at AS "from", to_at AS "to" FROM kept
   UNION ALL SELECT from_at, to_at FROM blind_windows WHERE to_at <= now() ORDER BY "from"`,
)

/**
 * Shortens windows that lie in the future because the clock was set back: nothing waits for a time that has not come.
 */
export async function cutWindows(on: Queryable): Promise<BlindWindow[]> {
  return on.query(cut)
}

/** What a replica reports about itself; `heardThrough` in epoch milliseconds by the database's clock. */
export type Report = Omit<ReplicaReport, 'seenAt'> & {
  spools: boolean
  address: string | null
  tokenHash: string | null
}

const report = statement(
  'blind_time_report',
  `INSERT INTO replicas (id, seen_at, spools, can_spool, heard_through, name, address, token_hash)
   VALUES ($1, clock_timestamp(), $2, $3, to_timestamp($4::float8 / 1000), $5, $6, $7)
   ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), spools = EXCLUDED.spools, heard_through = EXCLUDED.heard_through,
     address = EXCLUDED.address, token_hash = EXCLUDED.token_hash`,
)

/**
 * Records that a replica runs, whether it holds heartbeats that the database does not, and until when it holds none.
 */
export async function reportReplica(on: Queryable, replica: Report): Promise<void> {
  const { id, spools, canSpool, heardThrough, name, address, tokenHash } = replica
  await on.query(report, [id, spools, canSpool, heardThrough, name, address, tokenHash])
}

export type ReportFor = Pick<Report, 'id' | 'spools' | 'heardThrough'>

const reportFor = statement(
  'blind_time_report_for',
  `UPDATE replicas SET seen_at = clock_timestamp(), spools = $2, heard_through = greatest(heard_through, to_timestamp($3::float8 / 1000))
   WHERE id = $1`,
)

/** Records the same for a replica that cannot write it itself. A replica that was removed stays removed. */
export async function reportForReplica(on: Queryable, { id, spools, heardThrough }: ReportFor): Promise<void> {
  await on.query(reportFor, [id, spools, heardThrough])
}

const forget = statement(
  'blind_time_forget',
  "DELETE FROM replicas WHERE id = ANY($1::uuid[]) OR seen_at < now() - interval '1 day'",
)

/** Removes replicas that are gone and have left nothing behind. */
export async function forgetReplicas(on: Queryable, ids: readonly string[]): Promise<void> {
  await on.query(forget, [ids])
}

/** Another replica, and how it can be reached. */
export type Peer = ReplicaReport & { spools: boolean; address: string | null; tokenHash: string | null }

// A replica of a version that does not report how far it is heard counts as heard when it is seen, unless it says that
// it spools.
const others = statement<OthersRow>(
  'blind_time_others',
  {
    id: 'uuid',
    seenAt: 'timestamptz',
    spools: 'bool',
    canSpool: 'bool',
    name: 'text',
    address: 'text?',
    tokenHash: 'text?',
    heardThrough: 'timestamptz',
    outageFrom: 'timestamptz?',
    outageTo: 'timestamptz?',
  },
  `SELECT r.id, r.seen_at AS "seenAt", r.spools, r.can_spool AS "canSpool", coalesce(r.name, r.id::text) AS name, r.address, r.token_hash AS "tokenHash",
     coalesce(r.heard_through, CASE WHEN r.spools THEN a.outage_from END, r.seen_at) AS "heardThrough",
     a.outage_from AS "outageFrom", a.outage_to AS "outageTo"
   FROM acceptance a LEFT JOIN replicas r ON r.id <> $1`,
)

type OthersRow = (Peer | { [K in keyof Peer]: null }) & { outageFrom: number | null; outageTo: number | null }

/** All other replicas that have not been removed, and the last time in which no replica recorded acceptance. */
export async function selectOthers(on: Queryable, ownId: string): Promise<{ peers: Peer[]; outage: Outage | null }> {
  const rows = await on.query(others, [ownId])
  const { outageFrom: from = null, outageTo: to = null } = rows[0] ?? {}
  const peers = rows.flatMap(({ outageFrom: _, outageTo: __, ...peer }) => (peer.id === null ? [] : [peer]))
  return { peers, outage: from === null || to === null ? null : { from, to } }
}

const tokenHash = statement<{ tokenHash: string | null }>(
  'blind_time_token_hash',
  { tokenHash: 'text?' },
  'SELECT token_hash AS "tokenHash" FROM replicas WHERE id = $1',
)

/** The hash of a replica's token; null if there is no such replica, or it has no token. */
export async function selectTokenHash(on: Queryable, id: string): Promise<string | null> {
  const [row] = await on.query(tokenHash, [id])
  return row?.tokenHash ?? null
}

// All of them are read twice a second, and a service that is restarted over and over makes one each time.
export const deleteOldBlindWindows = deletionOfOld(
  'blind_windows',
  (before) => `DELETE FROM blind_windows WHERE from_at IN (
     SELECT from_at FROM blind_windows
     WHERE to_at < ${before} OR from_at <= (SELECT from_at FROM blind_windows ORDER BY from_at DESC OFFSET 10000 LIMIT 1)
     ORDER BY from_at LIMIT $2)`,
)
