// The deliveries. Instants in epoch milliseconds.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import type { NoticeText } from '../../messages/message.ts'
import type { DeliveryOutcome } from '../attempts/outcome.ts'
import type { DeliveryKind, SubjectKind } from './delivery-columns.ts'

/** The detail of a delivery that is suppressed for this reason. */
export const channelOff = 'the channel is switched off'

export const unfinished = (row: string) => `${row}.status IN ('pending', 'retrying')`

/** `kind` is the channel's, `unknown` if it has just been deleted. */
export type DueDelivery = {
  subjectId: string
  id: string
  projectId: string
  channelId: string
  kind: string
  attempts: number
  /** For deliveries that are sent in one message with others. */
  groupId: string | null
}

const dueTypes = {
  subjectId: 'uuid',
  id: 'uuid',
  projectId: 'uuid',
  channelId: 'uuid',
  kind: 'text',
  attempts: 'int4',
  groupId: 'uuid?',
} as const

const kind = `coalesce((SELECT c.kind FROM channels c WHERE c.id = d.channel_id), 'unknown') AS kind`

/**
 * The earlier deliveries for which a later one of the same check and channel waits. A reminder or an escalation before
 * its time does not count: one that was created while its outage ended would delay the recovery until then.
 */
export const precedes = (row: string, now: string) =>
  `${unfinished(row)} AND (${row}.kind IN ('down', 'up', 'notice') OR ${row}.lease_until > ${now})`

/** Written as in the index by channel, so that PostgreSQL uses it. */
const waits = (row: string) => `${unfinished(row)} AND ${row}.next_attempt_at IS NOT NULL`

// Goes from channel to channel by the index, so that a backlog delays only its own channel.
const due = statement<DueDelivery & { due: number }>(
  'notifications_due',
  { ...dueTypes, due: 'timestamptz' },
  `WITH RECURSIVE waiting AS (
     (SELECT d.channel_id FROM deliveries d WHERE ${waits('d')} ORDER BY d.channel_id LIMIT 1)
     UNION ALL
     SELECT (SELECT d.channel_id FROM deliveries d WHERE ${waits('d')} AND d.channel_id > w.channel_id ORDER BY d.channel_id LIMIT 1)
     FROM waiting w WHERE w.channel_id IS NOT NULL)
   SELECT found.* FROM waiting w CROSS JOIN LATERAL (
     SELECT d.subject_id AS "subjectId", d.id, d.project_id AS "projectId", d.channel_id AS "channelId", ${kind}, d.attempts, d.group_id AS "groupId", d.next_attempt_at AS due
     FROM deliveries d
     WHERE ${waits('d')} AND d.channel_id = w.channel_id AND d.next_attempt_at <= ${instant('$1')}
       AND (
         SELECT e.flip_seq FROM deliveries e
         WHERE e.subject_id = d.subject_id AND e.channel_id = d.channel_id AND e.flip_seq < d.flip_seq AND ${precedes('e', instant('$1'))}
         LIMIT 1) IS NULL
     ORDER BY d.next_attempt_at LIMIT $4) found
   WHERE w.channel_id <> ALL($2::uuid[]) AND found.kind <> ALL($5::text[]) AND found."projectId" <> ALL($6::uuid[])
     AND found."projectId" || '/' || found.kind <> ALL($7::text[])
     AND NOT EXISTS (SELECT FROM channels r WHERE r.id = w.channel_id AND r.retry_after_at > ${instant('$1')})
   ORDER BY row_number() OVER (PARTITION BY found."projectId" ORDER BY found.due), found.due LIMIT $3`,
)

/** `ofChannel` is the limit for one channel, `ofAll` for all together. */
export type DueLimits = { ofChannel: number; ofAll: number }

/** The owners of shares of the slots; `pairs` are a project's id and a kind, joined by a slash. */
export type Busy = Record<'channels' | 'kinds' | 'projects' | 'pairs', readonly string[]>

/**
 * Due deliveries without an earlier unfinished one of the same check and channel, except for delayed channels and
 * what is `busy`. Projects take turns; within a project the longest due comes first.
 */
export async function selectDue(on: Queryable, now: number, busy: Busy, limits: DueLimits): Promise<DueDelivery[]> {
  const { channels, kinds, projects, pairs } = busy
  return on.query(due, [now, channels, limits.ofAll, limits.ofChannel, kinds, projects, pairs])
}

export type ClaimedDelivery = DueDelivery & {
  subjectKind: SubjectKind
  flipSeq: number
  deliveryKind: DeliveryKind
  ordinal: number
  /** When it was created, or resent by hand. */
  createdAt: number
  leaseUntil: number
  notice: NoticeText | null
  /** The id of the request that caused the flip; null for a deadline. */
  requestId: string | null
  /** The setting of the check, which overrides that of the channel. */
  remindEveryS: number | null
}

export const claimedTypes = {
  ...dueTypes,
  subjectKind: 'text',
  flipSeq: 'int4',
  deliveryKind: 'text',
  ordinal: 'int4',
  createdAt: 'timestamptz',
  leaseUntil: 'timestamptz',
  notice: 'jsonb?',
  requestId: 'text?',
  remindEveryS: 'int4?',
} as const

export const claimedColumns = `d.subject_id AS "subjectId", d.id, d.channel_id AS "channelId", ${kind}, d.attempts,
     d.project_id AS "projectId", d.subject_kind AS "subjectKind", d.flip_seq AS "flipSeq", d.kind AS "deliveryKind", d.ordinal, coalesce(d.resent_at, d.created_at) AS "createdAt", d.notice,
     d.lease_until AS "leaseUntil", d.group_id AS "groupId",
     (SELECT f.request_id FROM flips f WHERE f.check_id = d.subject_id AND f.seq = d.flip_seq) AS "requestId",
     (SELECT m.remind_every_s FROM checks m WHERE m.id = d.subject_id) AS "remindEveryS"`

const claim = statement<ClaimedDelivery>(
  'notifications_claim',
  claimedTypes,
  `UPDATE deliveries d SET attempts = d.attempts + 1, next_attempt_at = ${instant('$5')}, lease_until = ${instant('$5')}
   FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS seen(subject_id, id, attempts)
   WHERE d.subject_id = seen.subject_id AND d.id = seen.id AND d.attempts = seen.attempts
     AND ${unfinished('d')} AND d.next_attempt_at <= ${instant('$4')}
   RETURNING ${claimedColumns}`,
)

/** Compares and sets: returns those that no other replica has claimed. This process holds them until `leaseUntil`. */
export async function claimDeliveries(
  tx: Queryable,
  seen: readonly DueDelivery[],
  now: number,
  leaseUntil: number,
): Promise<ClaimedDelivery[]> {
  return tx.query(claim, [
    seen.map(({ subjectId }) => subjectId),
    seen.map(({ id }) => id),
    seen.map(({ attempts }) => attempts),
    now,
    leaseUntil,
  ])
}

const extend = statement(
  'notifications_extend_leases',
  { id: 'uuid' },
  `UPDATE deliveries d SET next_attempt_at = ${instant('$4')}, lease_until = ${instant('$4')}
   FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS own(subject_id, id, attempts)
   WHERE d.subject_id = own.subject_id AND d.id = own.id AND d.attempts = own.attempts AND d.lease_until IS NOT NULL AND ${unfinished('d')}
   RETURNING d.id`,
)

/** Compares and sets: for each delivery, whether this attempt still holds it; if so, it holds it until `until`. */
export async function extendLeases(
  tx: Queryable,
  claimed: readonly Pick<DueDelivery, 'subjectId' | 'id' | 'attempts'>[],
  until: number,
): Promise<boolean[]> {
  const rows = await tx.query(extend, [
    claimed.map(({ subjectId }) => subjectId),
    claimed.map(({ id }) => id),
    claimed.map(({ attempts }) => attempts),
    until,
  ])
  const extended = new Set(rows.map(({ id }) => id))
  return claimed.map(({ id }) => extended.has(id))
}

// A message that has arrived counts as sent, whichever process holds the delivery by now and whatever the outcome of
// another attempt.
const finish = statement(
  'notifications_finish',
  { id: 'uuid' },
  `UPDATE deliveries d SET status = v.status, next_attempt_at = ${instant('v.next_attempt_at')}, detail = v.detail,
     lease_until = NULL, suppression = v.suppression, finished_at = CASE WHEN v.status <> 'retrying' THEN ${instant('v.at')} END
   FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::float8[], $6::text[], $7::text[], $8::float8[])
     AS v(subject_id, id, attempts, status, next_attempt_at, detail, suppression, at)
   WHERE d.subject_id = v.subject_id AND d.id = v.id
     AND (d.attempts = v.attempts AND ${unfinished('d')} OR v.status = 'sent' AND d.status IN ('pending', 'retrying', 'dead'))
   RETURNING d.id`,
)

/** `at` is when the attempt ended. */
export type ConcludedAttempt = {
  delivery: Pick<DueDelivery, 'subjectId' | 'id' | 'attempts'>
  outcome: DeliveryOutcome
  at: number
}

/** For each delivery, false if it has ended already, or if the attempt failed and is no longer the latest. */
export async function writeOutcomes(tx: Queryable, all: readonly ConcludedAttempt[]): Promise<boolean[]> {
  const column = <T>(pick: (one: ConcludedAttempt) => T): T[] => all.map(pick)
  const rows = await tx.query(finish, [
    column(({ delivery }) => delivery.subjectId),
    column(({ delivery }) => delivery.id),
    column(({ delivery }) => delivery.attempts),
    column(({ outcome }) => outcome.status),
    column(({ outcome }) => outcome.nextAttemptAt),
    column(({ outcome }) => outcome.detail),
    column(({ outcome }) => outcome.suppression),
    column(({ at }) => at),
  ])
  const written = new Set(rows.map(({ id }) => id))
  return column(({ delivery }) => written.has(delivery.id))
}

export type ExpiredDelivery = Pick<
  ClaimedDelivery,
  'id' | 'projectId' | 'channelId' | 'kind' | 'attempts' | 'requestId'
> & {
  detail: string
}

const expire = statement<ExpiredDelivery>(
  'notifications_expire',
  {
    id: 'uuid',
    projectId: 'uuid',
    channelId: 'uuid',
    kind: 'text',
    attempts: 'int4',
    detail: 'text',
    requestId: 'text?',
  },
  `UPDATE deliveries d SET status = 'dead', next_attempt_at = NULL, lease_until = NULL, finished_at = ${instant('$3')},
     detail = coalesce(d.detail, $4)
   FROM (SELECT subject_id, id FROM deliveries d
         WHERE ${unfinished('d')} AND d.channel_id = ANY($1::uuid[]) AND coalesce(d.resent_at, d.created_at) <= ${instant('$2')}
           AND d.next_attempt_at <= ${instant('$3')}
         ORDER BY d.subject_id, d.id LIMIT $5) old
   WHERE d.subject_id = old.subject_id AND d.id = old.id AND ${unfinished('d')} AND d.next_attempt_at <= ${instant('$3')}
   RETURNING d.id, d.project_id AS "projectId", d.channel_id AS "channelId", ${kind}, d.attempts, d.detail,
     (SELECT f.request_id FROM flips f WHERE f.check_id = d.subject_id AND f.seq = d.flip_seq) AS "requestId"`,
)

const expiredMax = 1000

/**
 * Ends a limited number of deliveries of these channels that were created up to `createdUntil` and that no replica has
 * claimed.
 */
export async function expireDeliveries(
  tx: Queryable,
  channelIds: readonly string[],
  createdUntil: number,
  now: number,
  detail: string,
): Promise<ExpiredDelivery[]> {
  return tx.query(expire, [channelIds, createdUntil, now, detail, expiredMax])
}

const cancelDetails = {
  channel_deleted: 'the channel was deleted',
  check_deleted: 'the check was deleted',
  project_deleted: 'the project was deleted',
  recovered: 'the check recovered',
}

// One statement per condition, so that each uses its own index.
const cancelBy = {
  channel: cancelStatement('channel', 'channel_id'),
  check: cancelStatement('check', 'subject_id'),
  project: cancelStatement('project', 'project_id'),
}

function cancelStatement(name: string, column: string) {
  return statement(
    `notifications_cancel_by_${name}`,
    `UPDATE deliveries d SET status = 'suppressed', suppression = $2, detail = $3, next_attempt_at = NULL, finished_at = ${instant('$4')}
     WHERE d.${column} = ANY($1::uuid[]) AND d.status IN ('pending', 'retrying')
       AND ($5::text[] IS NULL OR d.kind = ANY($5) AND (d.lease_until IS NULL OR d.lease_until <= ${instant('$4')}))`,
  )
}

/** Ends unfinished deliveries. With `kinds`, other kinds and deliveries that a replica is sending are left alone. */
export async function cancelDeliveries(
  tx: Queryable,
  of: { by: keyof typeof cancelBy; ids: readonly string[]; kinds?: readonly DeliveryKind[] },
  reason: keyof typeof cancelDetails,
  now: number,
): Promise<void> {
  await tx.query(cancelBy[of.by], [of.ids, reason, cancelDetails[reason], now, of.kinds ?? null])
}

const count = statement(
  'notifications_count',
  { count: 'int8' },
  `SELECT count(*) AS count FROM deliveries d WHERE ${unfinished('d')}`,
)

export async function countUnfinished(on: Queryable): Promise<number> {
  return (await on.query(count))[0]?.count ?? 0
}
