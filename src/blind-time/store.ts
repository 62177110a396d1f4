import type { BlindWindow } from '../core/blind-time.ts'
import type { Queryable, Statement } from '../database/client.ts'

const statement = (name: string, text: string): Statement => ({ name: `blind_time_${name}`, text })

const milliseconds = (parameter: string) => `${parameter}::float8 * interval '1 millisecond'`
const longPause = `clock_timestamp() - acceptance.until_at > ${milliseconds('$1')}`

// One statement, because the row is everybody's: a replica that is stopped in the middle of a transaction would hold its
// lock, and nobody could record, detect or accept for as long as it stands still. The right-hand sides see the row as it
// was, so that of several replicas exactly one sees a gap. What whoever sees it has accepted itself meanwhile was not blind.
const record = statement(
  'record',
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
const all = statement('all', 'SELECT from_at AS "from", to_at AS "to" FROM blind_windows ORDER BY from_at')

/**
 * Records that heartbeats are accepted now, by the database's clock, and have been here for the last `acceptedForMs`. If nobody
 * has recorded it for longer than `blindAfterMs`, that gap becomes a window, as far as it was not accepted here.
 */
export async function recordAcceptance(on: Queryable, blindAfterMs: number, acceptedForMs: number): Promise<void> {
  await on.query(record, [blindAfterMs, acceptedForMs])
}

export async function selectWindows(on: Queryable): Promise<BlindWindow[]> {
  return on.query<BlindWindow>(all)
}

const shorten = statement(
  'shorten',
  `UPDATE blind_windows SET to_at = clock_timestamp() - ${milliseconds('$1')}
   WHERE from_at < clock_timestamp() - ${milliseconds('$1')} AND to_at > clock_timestamp() - ${milliseconds('$1')}`,
)
const remove = statement(
  'remove',
  `DELETE FROM blind_windows WHERE from_at >= clock_timestamp() - ${milliseconds('$1')}`,
)

/** Another replica may have taken a time for blind in which heartbeats were accepted here: the last `acceptedForMs`. */
export async function correctWindows(on: Queryable, acceptedForMs: number): Promise<void> {
  await on.query(shorten, [acceptedForMs])
  await on.query(remove, [acceptedForMs])
}

const report = statement(
  'report',
  `INSERT INTO replicas (id, seen_at, spools) VALUES ($1, clock_timestamp(), $2)
   ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), spools = EXCLUDED.spools`,
)

/** Says whether this replica holds heartbeats that are not in the database yet. */
export async function reportSpool(on: Queryable, replicaId: string, spools: boolean): Promise<void> {
  await on.query(report, [replicaId, spools])
}

const forget = statement(
  'forget',
  "DELETE FROM replicas WHERE id = ANY($1::uuid[]) OR seen_at < now() - interval '1 day'",
)

/** Those that are gone and have left nothing behind. */
export async function forgetReplicas(on: Queryable, ids: readonly string[]): Promise<void> {
  await on.query(forget, [ids])
}

const awaited = statement(
  'awaited',
  `SELECT EXISTS (
     SELECT FROM acceptance a, replicas r
     WHERE a.outage_to > clock_timestamp() - ${milliseconds('$1')} AND (
       (r.seen_at < a.outage_to AND r.seen_at > a.outage_from - ${milliseconds('$2')})
       OR (r.spools AND r.seen_at > clock_timestamp() - ${milliseconds('$2')}))) AS awaited`,
)

/**
 * Whether a replica may still hold heartbeats of the last outage: it was alive up to `aliveMs` before it and has not been heard of
 * since, or says so itself. Nobody is waited for longer than `patienceMs`.
 */
export async function isSpoolAwaited(on: Queryable, patienceMs: number, aliveMs: number): Promise<boolean> {
  const [row] = await on.query<{ awaited: boolean }>(awaited, [patienceMs, aliveMs])
  return row?.awaited ?? false
}
