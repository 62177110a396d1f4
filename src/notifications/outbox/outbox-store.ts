// Turns flips into deliveries. Instants in epoch milliseconds.

import type { Status } from '../../core/status.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import { channelOff } from '../queue/queue-store.ts'

/** A check with unprocessed flips. `turn` counts the checks of its project, `channels` how many deliveries each of its flips makes. */
export type CheckWithFlips = { id: string; turn: number; channels: number }

// Goes from check to check by the index, because one of them may have thousands of changes.
const pick = statement<CheckWithFlips>(
  'notifications_pick',
  { id: 'uuid', turn: 'int4', channels: 'int4' },
  `WITH RECURSIVE waiting AS (
     (SELECT check_id, 1 AS n FROM flips WHERE processed_at IS NULL AND check_id > $1::uuid ORDER BY check_id LIMIT 1)
     UNION ALL
     SELECT (SELECT check_id FROM flips WHERE processed_at IS NULL AND check_id > w.check_id ORDER BY check_id LIMIT 1), n + 1
     FROM waiting w WHERE w.check_id IS NOT NULL AND n < $2::int)
   SELECT w.check_id AS id, row_number() OVER (PARTITION BY m.project_id ORDER BY w.check_id)::int AS turn,
     (SELECT count(*)::int FROM check_channels mc WHERE mc.check_id = w.check_id) AS channels
   FROM waiting w LEFT JOIN checks m ON m.id = w.check_id WHERE w.check_id IS NOT NULL ORDER BY w.check_id`,
)

/** Checks with unprocessed flips, in the order of their ids, at most `limit` behind the one with id `after`. */
export async function pickChecksWithFlips(on: Queryable, after: string, limit: number): Promise<CheckWithFlips[]> {
  return on.query(pick, [after, limit])
}

export type ClaimedFlip = { checkId: string; seq: number; projectId: string; to: Status }

const claim = statement<ClaimedFlip>(
  'notifications_claim_flips',
  { checkId: 'uuid', seq: 'int4', projectId: 'uuid', to: 'text' },
  `WITH oldest AS MATERIALIZED (
     SELECT w.id, o.seq FROM unnest($1::uuid[], $2::int[]) AS w(id, most), LATERAL (
       SELECT seq FROM flips WHERE check_id = w.id AND processed_at IS NULL ORDER BY seq LIMIT w.most) o)
   UPDATE flips f SET processed_at = now() FROM oldest
   WHERE f.check_id = oldest.id AND f.seq = oldest.seq AND f.processed_at IS NULL
   RETURNING f.check_id AS "checkId", f.seq, f.project_id AS "projectId", f."to"`,
)

/**
 * The oldest unprocessed flips of these checks, at most so many of each, in order. A replica that claims a later flip
 * while another holds an earlier one waits for that one to commit, so that no recovery is visible before its outage.
 */
export async function claimFlips(
  tx: Queryable,
  checks: readonly { id: string; most: number }[],
): Promise<ClaimedFlip[]> {
  const flips = await tx.query(claim, [checks.map(({ id }) => id), checks.map(({ most }) => most)])
  return flips.sort((a, b) => (a.checkId === b.checkId ? a.seq - b.seq : a.checkId < b.checkId ? -1 : 1))
}

const recent = statement<RecentFlips & { id: string }>(
  'notifications_recent_flips',
  { id: 'uuid', count: 'int8', since: 'timestamptz?' },
  `SELECT p.id, f.count, f.since FROM unnest($1::uuid[]) AS p(id) CROSS JOIN LATERAL (
     SELECT count(*) AS count, min(at) AS since FROM (
       SELECT max(d.created_at) AS at FROM deliveries d
       WHERE d.project_id = p.id AND d.created_at > ${instant('$2')} AND d.kind IN ('down', 'up')
       GROUP BY d.subject_id, d.flip_seq ORDER BY at DESC LIMIT $3) newest) f`,
)

/** The count, up to the requested limit, and when the first of them was created; null if there are none. */
export type RecentFlips = { count: number; since: number | null }

/** How many flips of each project became deliveries since then, of the newest `limit`. */
export async function countRecentFlips(
  on: Queryable,
  projectIds: readonly string[],
  since: number,
  limit: number,
): Promise<Map<string, RecentFlips>> {
  const rows = await on.query(recent, [projectIds, since, limit])
  return new Map(rows.map(({ id, count, since }) => [id, { count, since }]))
}

// OFFSET 0 keeps the order of the joins: from the flips on, by the keys of checks. Before the tables have been analysed
// PostgreSQL would otherwise scan all channels, or all deliveries.
const insert = statement(
  'notifications_insert',
  { status: 'text' },
  `INSERT INTO deliveries (subject_id, id, project_id, channel_id, flip_seq, kind, created_at, status, suppression, detail, finished_at,
     next_attempt_at, group_id)
   SELECT f.check_id, gen_random_uuid(), f.project_id, c.id, f.seq, f.kind, ${instant('$5')},
     CASE WHEN c.off THEN 'suppressed' ELSE 'pending' END, CASE WHEN c.off THEN 'channel_off' END,
     CASE WHEN c.off THEN '${channelOff}' END, CASE WHEN c.off THEN ${instant('$5')} END,
     CASE WHEN c.off THEN NULL WHEN g.grouped THEN ${instant('$7')} ELSE ${instant('$5')} END,
     CASE WHEN g.grouped THEN md5(c.id || '/' || $8::text)::uuid END
   FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $6::boolean[]) AS f(check_id, seq, project_id, kind, grouped)
     JOIN LATERAL (
       SELECT mc.channel_id FROM check_channels mc WHERE mc.check_id = f.check_id
       UNION SELECT e.channel_id FROM (
         SELECT d.channel_id, d.status, d.kind FROM deliveries d
         WHERE f.kind = 'up' AND d.subject_id = f.check_id AND d.flip_seq = f.seq - 1
           AND d.kind IN ('escalation', 'reminder') OFFSET 0) e
         GROUP BY e.channel_id HAVING bool_or(e.kind = 'escalation') AND bool_or(e.status = 'sent')) wanted ON true
     JOIN LATERAL (
       SELECT c.id, c.kind, c.disabled_at IS NOT NULL AS off FROM channels c
       WHERE c.id = wanted.channel_id AND c.project_id = f.project_id OFFSET 0) c ON true
     CROSS JOIN LATERAL (SELECT f.grouped AND NOT c.off AND c.kind = ANY($9::text[]) AS grouped) g
   ORDER BY f.check_id, f.seq, c.id
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING
   RETURNING status`,
)

/**
 * One delivery for each flip and channel of its check, suppressed if the channel is switched off. A recovery also goes
 * to the channels to which its outage was escalated. A grouped delivery waits for others of its span, on kinds of
 * channels that can report several at once. Returns how many are to be sent.
 */
export async function insertDeliveries(
  tx: Queryable,
  flips: readonly (ClaimedFlip & { kind: 'down' | 'up'; grouped?: boolean })[],
  now: number,
  group: { span: number; due: number; kinds: readonly string[] } = { span: 0, due: now, kinds: [] },
): Promise<number> {
  const made = await tx.query(insert, [
    flips.map(({ checkId }) => checkId),
    flips.map(({ seq }) => seq),
    flips.map(({ projectId }) => projectId),
    flips.map(({ kind }) => kind),
    now,
    flips.map(({ grouped = false }) => grouped),
    group.due,
    group.span,
    group.kinds,
  ])
  return made.filter(({ status }) => status === 'pending').length
}

const endFlips = statement(
  'notifications_end_flips',
  'UPDATE flips SET processed_at = now() WHERE project_id = $1 AND processed_at IS NULL',
)

/** The flips of a project cause no deliveries any more. */
export async function endFlipsOfProject(tx: Queryable, projectId: string): Promise<void> {
  await tx.query(endFlips, [projectId])
}
