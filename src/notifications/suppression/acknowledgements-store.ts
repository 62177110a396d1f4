// Acknowledged outages and snoozed checks. Instants in epoch milliseconds.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'

export type CheckOutage = {
  projectId: string
  /** Never empty. */
  name: string
  project: string
  isDown: boolean
  flipSeq: number
  ackedSeq: number | null
  snoozedUntil: number | null
}

const findOutage = statement(
  'acknowledgements_find',
  {
    projectId: 'uuid',
    name: 'text',
    project: 'text',
    isDown: 'bool',
    flipSeq: 'int4',
    ackedSeq: 'int4?',
    snoozedUntil: 'timestamptz?',
  },
  `SELECT m.project_id AS "projectId", coalesce(nullif(m.name, ''), nullif(m.slug, ''), 'A check without a name') AS name, p.name AS project,
     m.status = 'down' AS "isDown", m.flip_seq AS "flipSeq",
     a.acked_seq AS "ackedSeq", a.snoozed_until AS "snoozedUntil"
   FROM checks m JOIN projects p ON p.id = m.project_id LEFT JOIN acknowledgements a ON a.check_id = m.id
   WHERE m.id = $1 AND ($2::uuid IS NULL OR m.project_id = $2)`,
)

/** A null `projectId` finds the check in any project: the signed link is the credential. */
export async function selectOutage(
  on: Queryable,
  projectId: string | null,
  checkId: string,
): Promise<CheckOutage | null> {
  return (await on.query(findOutage, [checkId, projectId]))[0] ?? null
}

const acknowledge = statement(
  'acknowledgements_acknowledge',
  { checkId: 'uuid' },
  `INSERT INTO acknowledgements (check_id, project_id, acked_seq, acked_at)
   SELECT m.id, m.project_id, $3::int, ${instant('$4')} FROM checks m
   WHERE m.id = $1 AND m.project_id = $2 AND m.status = 'down' AND m.flip_seq = $3
   ON CONFLICT (check_id) DO UPDATE SET acked_seq = EXCLUDED.acked_seq, acked_at = EXCLUDED.acked_at
   RETURNING check_id AS "checkId"`,
)

/** False if the outage that began with flip `seq` is over. */
export async function acknowledgeOutage(
  tx: Queryable,
  projectId: string,
  checkId: string,
  seq: number,
  now: number,
): Promise<boolean> {
  return (await tx.query(acknowledge, [checkId, projectId, seq, now])).length > 0
}

const snooze = statement(
  'acknowledgements_snooze',
  { checkId: 'uuid' },
  `INSERT INTO acknowledgements (check_id, project_id, snoozed_until)
   SELECT m.id, m.project_id, ${instant('$3')} FROM checks m
   WHERE m.id = $1 AND m.project_id = $2 AND ($4::int IS NULL OR m.status = 'down' AND m.flip_seq = $4)
   ON CONFLICT (check_id) DO UPDATE SET snoozed_until = EXCLUDED.snoozed_until RETURNING check_id AS "checkId"`,
)

const wake = statement(
  'acknowledgements_wake_held',
  `UPDATE deliveries SET next_attempt_at = ${instant('$2')}
   WHERE subject_id = $1 AND status = 'suppressed' AND next_attempt_at IS NOT NULL AND suppression = 'snooze'`,
)

/**
 * A null `until` ends the snooze, and the alerts that it suppressed become due. With `seq` it is only set while the
 * outage that began with that flip lasts. False if there is no such check or outage.
 */
export async function snoozeCheck(
  tx: Queryable,
  projectId: string,
  checkId: string,
  { until, seq }: { until: number | null; seq: number | null },
  now: number,
): Promise<boolean> {
  if ((await tx.query(snooze, [checkId, projectId, until, seq])).length === 0) return false
  await tx.query(wake, [checkId, now])
  return true
}
