// Alerts that are not sent because a parent is down, and what becomes of them. The texts stand in an index, so they are written out.

import type { Queryable, Statement } from '../database/client.ts'

export const parentIsDown = 'the parent check is down'

const statement = (name: string, text: string): Statement => ({ name: `alerting_${name}`, text })
const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`

/** Whether any ancestor of the monitor is down. A parent that is gone or in another project is none. */
const underOutage = (monitor: string) => `EXISTS (
    WITH RECURSIVE up AS (
      SELECT c.parent_id, c.project_id FROM monitors c WHERE c.id = ${monitor} AND c.parent_id IS NOT NULL
      UNION SELECT p.parent_id, p.project_id FROM up JOIN monitors p ON p.id = up.parent_id AND p.project_id = up.project_id)
    SELECT FROM up JOIN monitors p ON p.id = up.parent_id AND p.project_id = up.project_id WHERE p.status = 'down')`

const outage = statement('under_outage', `SELECT ${underOutage('$1')} AS "isDown"`)

export async function selectParentIsDown(on: Queryable, monitorId: string): Promise<boolean> {
  return (await on.query<{ isDown: boolean }>(outage, [monitorId]))[0]?.isDown ?? false
}

const untold = statement(
  'untold',
  `SELECT EXISTS (SELECT FROM deliveries WHERE monitor_id = $1 AND channel_id = $2 AND flip_seq = $3 AND event = 'down'
       AND status = 'suppressed' AND last_error IN ('the parent check is down', 'the parent check was down'))
     AND NOT EXISTS (SELECT FROM deliveries WHERE monitor_id = $1 AND channel_id = $2 AND flip_seq = $3 AND event = 'reminder'
       AND status <> 'suppressed') AS untold`,
)

/** Whether nobody on the channel was told about the outage that began with flip `seq`, because a parent was down. */
export async function selectUntold(on: Queryable, monitorId: string, channelId: string, seq: number): Promise<boolean> {
  return (await on.query<{ untold: boolean }>(untold, [monitorId, channelId, seq]))[0]?.untold ?? false
}

const state = statement(
  'outage_goes_on',
  `SELECT status = 'down' AND flip_seq = $2 AS "goesOn" FROM monitors WHERE id = $1`,
)

/** Whether the monitor is down since flip `seq`. */
export async function selectOutageGoesOn(on: Queryable, monitorId: string, seq: number): Promise<boolean> {
  return (await on.query<{ goesOn: boolean }>(state, [monitorId, seq]))[0]?.goesOn ?? false
}

export type Held = {
  monitorId: string
  id: string
  projectId: string
  channelId: string
  flipSeq: number
  /** The outage is over, or was paused, or its check deleted: nothing is left to tell. */
  over: boolean
}

const held = statement(
  'held',
  `SELECT d.monitor_id AS "monitorId", d.id, d.project_id AS "projectId", d.channel_id AS "channelId", d.flip_seq AS "flipSeq",
     (m.id IS NULL OR m.status <> 'down' OR m.flip_seq <> d.flip_seq) AS over
   FROM deliveries d LEFT JOIN monitors m ON m.id = d.monitor_id
   WHERE d.status = 'suppressed' AND d.last_error = 'the parent check is down'
     AND (m.id IS NULL OR m.status <> 'down' OR m.flip_seq <> d.flip_seq OR NOT ${underOutage('d.monitor_id')})
   ORDER BY d.monitor_id LIMIT $1`,
)

/** Suppressed deliveries whose reason does not hold any more. */
export async function selectReleasable(on: Queryable, limit: number): Promise<Held[]> {
  return on.query<Held>(held, [limit])
}

const settle = statement(
  'settle_held',
  `UPDATE deliveries d SET last_error = 'the parent check was down' FROM unnest($1::uuid[], $2::uuid[]) AS h(monitor_id, id)
   WHERE d.monitor_id = h.monitor_id AND d.id = h.id AND d.status = 'suppressed' AND d.last_error = 'the parent check is down'
   RETURNING d.id`,
)

/** Compare-and-set: returns the ids of those that nobody else has dealt with meanwhile. */
export async function settleHeld(tx: Queryable, all: readonly Held[]): Promise<string[]> {
  const values = [all.map(({ monitorId }) => monitorId), all.map(({ id }) => id)]
  return (await tx.query<{ id: string }>(settle, values)).map(({ id }) => id)
}

const remind = statement(
  'remind',
  `INSERT INTO deliveries (monitor_id, id, project_id, channel_id, flip_seq, event, status, next_attempt_at, created_at)
   SELECT monitor_id, gen_random_uuid(), project_id, channel_id, flip_seq, 'reminder', 'pending', ${instant('due')}, ${instant('$6')}
   FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::float8[]) AS r(monitor_id, project_id, channel_id, flip_seq, due)
   ON CONFLICT (monitor_id, flip_seq, channel_id, event) DO UPDATE
     SET status = 'pending', attempts = 0, last_error = NULL, finished_at = NULL, next_attempt_at = EXCLUDED.next_attempt_at,
       created_at = EXCLUDED.created_at
     WHERE deliveries.status = 'suppressed'`,
)

/** One reminder for each, due at `due`; one that was suppressed before is due again. */
export async function insertReminders(
  tx: Queryable,
  all: readonly (Held & { due: number })[],
  now: number,
): Promise<void> {
  const column = <T>(pick: (one: Held & { due: number }) => T): T[] => all.map(pick)
  await tx.query(remind, [
    column(({ monitorId }) => monitorId),
    column(({ projectId }) => projectId),
    column(({ channelId }) => channelId),
    column(({ flipSeq }) => flipSeq),
    column(({ due }) => due),
    now,
  ])
}

const endReminders = statement(
  'end_reminders',
  `UPDATE deliveries d SET status = 'suppressed', last_error = 'the check recovered', next_attempt_at = NULL, finished_at = now()
   WHERE d.monitor_id = ANY($1::uuid[]) AND d.event = 'reminder' AND d.status = 'pending' AND d.attempts = 0`,
)

/** A recovery ends the reminders that wait: it would have to wait for them. */
export async function endPendingReminders(tx: Queryable, monitorIds: readonly string[]): Promise<void> {
  await tx.query(endReminders, [monitorIds])
}
