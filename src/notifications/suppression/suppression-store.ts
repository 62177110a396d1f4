// Suppressed alerts. Instants in epoch milliseconds.

import type { CheckSeverity, WantedAlerts } from '../../channels/wanted-alerts.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import { placed } from '../attempts/compose-store.ts'
import {
  type DeliveryKind,
  passingSuppressions,
  type Suppression,
  type SuppressionCode,
} from '../queue/delivery-columns.ts'

/** Whether any ancestor of the check is down. A deleted parent, or one in another project, does not count. */
const underOutage = (check: string) => `EXISTS (
    WITH RECURSIVE up AS (
      SELECT c.parent_id, c.project_id FROM checks c WHERE c.id = ${check} AND c.parent_id IS NOT NULL
      UNION SELECT p.parent_id, p.project_id FROM up JOIN checks p ON p.id = up.parent_id AND p.project_id = up.project_id)
    SELECT FROM up JOIN checks p ON p.id = up.parent_id AND p.project_id = up.project_id WHERE p.status = 'down')`

/** Whether an alert of the outage was sent, was suppressed for a temporary reason, or neither. */
export type OutageAlert = 'sent' | 'suppressed' | 'none'

export type Facts = {
  tags: string
  severity: CheckSeverity | null
  goesOn: boolean
  acknowledged: boolean
  parentIsDown: boolean
  snoozedUntil: number | null
  outages: number
  alerts: WantedAlerts | null
  outageAlert: OutageAlert
}

const ofOutage = 'd.subject_id = w.check_id AND d.channel_id = w.channel_id AND d.flip_seq = w.seq'

const passing = passingSuppressions.map((code) => `'${code}'`).join(', ')

const outageAlert = `(SELECT CASE WHEN bool_or(d.status IN ('sent', 'dead')) THEN 'sent' WHEN bool_or(d.suppression IN (${passing})) THEN 'suppressed' ELSE 'none' END
    FROM deliveries d WHERE ${ofOutage})`

const facts = statement<Facts & { place: number }>(
  'notifications_facts',
  {
    place: 'int8',
    tags: 'text',
    severity: 'text?',
    goesOn: 'bool',
    acknowledged: 'bool',
    parentIsDown: 'bool',
    snoozedUntil: 'timestamptz?',
    outages: 'int8',
    alerts: 'jsonb?',
    outageAlert: 'text',
  },
  `SELECT w.place, m.tags, m.severity, m.status = 'down' AND m.flip_seq = w.seq AS "goesOn",
     coalesce(a.acked_seq = w.seq, false) AS acknowledged, ${underOutage('m.id')} AS "parentIsDown", a.snoozed_until AS "snoozedUntil",
     (SELECT count(*) FROM flips f WHERE f.check_id = m.id AND f.seq > m.flip_seq - 200 AND f."to" = 'down'
        AND f.at > ${instant('$4')}) AS outages,
     (SELECT c.alerts FROM channels c WHERE c.id = w.channel_id) AS alerts, ${outageAlert} AS "outageAlert"
   FROM unnest($1::uuid[], $2::uuid[], $3::int[]) WITH ORDINALITY AS w(check_id, channel_id, seq, place)
     JOIN checks m ON m.id = w.check_id LEFT JOIN acknowledgements a ON a.check_id = m.id`,
)

/** A channel, and the outage of a check that began with flip `seq`. */
export type OutageOnChannel = { checkId: string; channelId: string; seq: number }

/** `since` is the beginning of the time in which outages are counted. Null for a deleted check. */
export async function selectFacts(
  on: Queryable,
  outages: readonly OutageOnChannel[],
  since: number,
): Promise<(Facts | null)[]> {
  const values = [
    outages.map(({ checkId }) => checkId),
    outages.map(({ channelId }) => channelId),
    outages.map(({ seq }) => seq),
    since,
  ]
  return placed(await on.query(facts, values), outages.length)
}

export type SuppressedAlert = {
  checkId: string
  id: string
  projectId: string
  channelId: string
  flipSeq: number
  kind: DeliveryKind
  ordinal: number
  suppression: SuppressionCode
  /** The outage is over, or its check was paused or deleted: no alert is to be sent any more. */
  over: boolean
}

const releasable = statement<SuppressedAlert>(
  'notifications_releasable',
  {
    checkId: 'uuid',
    id: 'uuid',
    projectId: 'uuid',
    channelId: 'uuid',
    flipSeq: 'int4',
    kind: 'text',
    ordinal: 'int4',
    suppression: 'text',
    over: 'bool',
  },
  `SELECT d.subject_id AS "checkId", d.id, d.project_id AS "projectId", d.channel_id AS "channelId", d.flip_seq AS "flipSeq", d.kind, d.ordinal,
     d.suppression,
     (m.id IS NULL OR m.status <> 'down' OR m.flip_seq <> d.flip_seq) AS over
   FROM deliveries d LEFT JOIN checks m ON m.id = d.subject_id
   WHERE d.status = 'suppressed' AND d.next_attempt_at <= ${instant('$1')} AND d.next_attempt_at IS NOT NULL
   ORDER BY d.next_attempt_at LIMIT $2`,
)

/** Suppressed deliveries whose reason may have passed, the longest due first. */
export async function selectReleasable(on: Queryable, now: number, limit: number): Promise<SuppressedAlert[]> {
  return on.query(releasable, [now, limit])
}

const settle = statement(
  'notifications_update_suppressed',
  { id: 'uuid' },
  `UPDATE deliveries d SET next_attempt_at = ${instant('h.until')}, detail = coalesce(h.detail, d.detail),
     suppression = coalesce(h.suppression, d.suppression)
   FROM unnest($1::uuid[], $2::uuid[], $3::float8[], $4::text[], $5::text[]) AS h(subject_id, id, until, detail, suppression)
   WHERE d.subject_id = h.subject_id AND d.id = h.id AND d.status = 'suppressed' AND d.next_attempt_at IS NOT NULL
   RETURNING d.id`,
)

/**
 * Sets when each is checked again: never if no reason applies. Compares and sets: returns those that no other replica
 * has updated meanwhile.
 */
export async function updateSuppressed(
  tx: Queryable,
  all: readonly (SuppressedAlert & { renewed: Suppression | null })[],
): Promise<string[]> {
  const values = [
    all.map(({ checkId }) => checkId),
    all.map(({ id }) => id),
    all.map(({ renewed }) => renewed?.until ?? null),
    all.map(({ renewed }) => renewed?.detail ?? null),
    all.map(({ renewed }) => renewed?.code ?? null),
  ]
  return (await tx.query(settle, values)).map(({ id }) => id)
}

const remind = statement(
  'notifications_remind',
  `INSERT INTO deliveries (subject_id, id, project_id, channel_id, flip_seq, kind, ordinal, status, next_attempt_at, created_at)
   SELECT check_id, gen_random_uuid(), project_id, channel_id, flip_seq, 'reminder', ordinal, 'pending', ${instant('due')}, ${instant('$6')}
   FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::float8[], $7::int[])
     AS r(check_id, project_id, channel_id, flip_seq, due, ordinal)
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO UPDATE
     SET status = 'pending', attempts = 0, suppression = NULL, detail = NULL, finished_at = NULL, next_attempt_at = EXCLUDED.next_attempt_at,
       created_at = EXCLUDED.created_at
     WHERE deliveries.status = 'suppressed'`,
)

/** One reminder for each, due at `due`; one that was suppressed before is due again. */
export async function insertReminders(
  tx: Queryable,
  all: readonly (SuppressedAlert & { due: number })[],
  now: number,
): Promise<void> {
  const column = <T>(pick: (one: SuppressedAlert & { due: number }) => T): T[] => all.map(pick)
  await tx.query(remind, [
    column(({ checkId }) => checkId),
    column(({ projectId }) => projectId),
    column(({ channelId }) => channelId),
    column(({ flipSeq }) => flipSeq),
    column(({ due }) => due),
    now,
    column(({ ordinal }) => ordinal),
  ])
}
