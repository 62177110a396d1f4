// Operator notices and requests for confirmation: messages about no check, which are deliveries too and are retried like them.

import type { WantedAlerts } from '../../channels/wanted-alerts.ts'
import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'
import type { NoticeText, Severity } from '../../messages/message.ts'

const insert = statement(
  'notifications_insert_notice',
  { id: 'uuid' },
  `INSERT INTO deliveries (subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, status, notice, next_attempt_at, created_at)
   SELECT $2::uuid, gen_random_uuid(), 'channel', c.project_id, c.id, $3::int, 'notice', 'pending', $4::jsonb, ${instant('$5')}, ${instant('$5')}
   FROM channels c WHERE c.project_id = $1::uuid AND c.disabled_at IS NULL AND c.kind = ANY($6::text[])
   ORDER BY c.id
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING
   RETURNING id`,
)

/** What a notice says, and what it is about: notices with the same `about` are sent in the order of `seq`. */
export type Notice = { about: string; seq: number; text: NoticeText }

/**
 * One delivery for each enabled channel of the project of one of these kinds. Returns the number of deliveries.
 */
export async function insertProjectNotice(
  tx: Queryable,
  { projectId, kinds, about, seq, text }: Notice & { projectId: string; kinds: readonly string[] },
  now: number,
): Promise<number> {
  return (await tx.query(insert, [projectId, about, seq, JSON.stringify(text), now, kinds])).length
}

/** `lastSeverity` is that of the last notice about the same, if the channel got any. */
export type OperatorChannel = { id: string; alerts: WantedAlerts | null; lastSeverity: Severity | null }

const operatorChannels = statement<OperatorChannel>(
  'notifications_operator_channels',
  { id: 'uuid', alerts: 'jsonb?', lastSeverity: 'text?' },
  `SELECT c.id, c.alerts, (
     SELECT d.notice->>'severity' FROM deliveries d
     WHERE d.subject_id = $2::uuid AND d.channel_id = c.id AND d.kind = 'notice' ORDER BY d.flip_seq DESC LIMIT 1
   ) AS "lastSeverity"
   FROM channels c WHERE c.id = ANY($1::uuid[]) AND c.disabled_at IS NULL ORDER BY c.id`,
)

/** The enabled ones of these channels, of any project. */
export async function selectOperatorChannels(
  on: Queryable,
  channelIds: readonly string[],
  about: string,
): Promise<OperatorChannel[]> {
  return on.query(operatorChannels, [channelIds, about])
}

const insertForOperators = statement(
  'notifications_insert_operator_notices',
  { id: 'uuid' },
  `INSERT INTO deliveries (subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, status, notice, next_attempt_at, created_at)
   SELECT $1::uuid, gen_random_uuid(), 'service', c.project_id, c.id, $2::int, 'notice', 'pending', $3::jsonb, ${instant('w.at')}, ${instant('$4')}
   FROM unnest($5::uuid[], $6::float8[]) AS w (id, at) JOIN channels c ON c.id = w.id
   ON CONFLICT (subject_id, flip_seq, channel_id, kind, ordinal) DO NOTHING
   RETURNING id`,
)

/** One delivery for each channel, to be attempted `at`, in epoch milliseconds. Returns the number of deliveries. */
export async function insertOperatorNotices(
  tx: Queryable,
  { about, seq, text }: Notice,
  channels: readonly { id: string; at: number }[],
  now: number,
): Promise<number> {
  const [ids, instants] = [channels.map(({ id }) => id), channels.map(({ at }) => at)]
  return (await tx.query(insertForOperators, [about, seq, JSON.stringify(text), now, ids, instants])).length
}

const insertRequest = statement(
  'notifications_insert_confirmation_request',
  `INSERT INTO deliveries (subject_id, id, subject_kind, project_id, channel_id, flip_seq, kind, status, notice, next_attempt_at, created_at)
   SELECT $2::uuid, gen_random_uuid(), 'channel', $1::uuid, $2::uuid, coalesce(max(d.flip_seq), 0) + 1, 'confirm', 'pending', $4::jsonb, ${instant('$3')},
     ${instant('$3')}
   FROM deliveries d WHERE d.subject_id = $2 AND d.kind = 'confirm'`,
)

/** Queues the mail that asks the recipient of a channel for confirmation, as a delivery of the channel. */
export async function insertConfirmationRequest(
  tx: Queryable,
  { id, projectId }: { id: string; projectId: string },
  text: NoticeText,
  now: number,
): Promise<void> {
  await tx.query(insertRequest, [projectId, id, now, JSON.stringify(text)])
}
