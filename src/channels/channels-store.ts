// Stores channels. Their settings are already encrypted here.

import type { Queryable } from '../database/connection/client.ts'
import { statement } from '../database/sql.ts'
import type { WantedAlerts } from './wanted-alerts.ts'

export type Channel = {
  id: string
  projectId: string
  kind: string
  name: string
  settings: Buffer<ArrayBuffer>
  /** Epoch milliseconds. */
  disabledAt: number | null
  disabledReason: string | null
  alerts: WantedAlerts | null
  /** Whether the recipient has confirmed, or need not. */
  recipientConfirmed: boolean
}

const byIds = statement<Channel>(
  'channels_by_ids',
  {
    id: 'uuid',
    projectId: 'uuid',
    kind: 'text',
    name: 'text',
    settings: 'bytea',
    disabledAt: 'timestamptz?',
    disabledReason: 'text?',
    alerts: 'jsonb?',
    recipientConfirmed: 'bool',
  },
  `SELECT id, project_id AS "projectId", kind, name, settings, disabled_at AS "disabledAt", disabled_reason AS "disabledReason", alerts,
     recipient_confirmed AS "recipientConfirmed"
   FROM channels WHERE id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR project_id = $2) ORDER BY created_at, id`,
)

/** The channels with these ids that the project has; `null` is any project, for callers that are allowed to. */
export async function findChannels(
  on: Queryable,
  projectId: string | null,
  ids: readonly string[],
): Promise<Channel[]> {
  return on.query(byIds, [ids, projectId])
}

/** Null if there is none. */
export async function findChannel(on: Queryable, projectId: string | null, id: string): Promise<Channel | null> {
  return (await findChannels(on, projectId, [id]))[0] ?? null
}

export type ChannelSummary = {
  id: string
  kind: string
  name: string
  createdAt: number
  disabledAt: number | null
  disabledReason: string | null
  /** The number of checks that alert through it. */
  checks: number
  lastSent: number | null
  /** The newest failed delivery, and when it was created. */
  lastError: string | null
  lastErrorAt: number | null
  alerts: WantedAlerts | null
}

const summaries = statement<ChannelSummary>(
  'channels_summaries',
  {
    id: 'uuid',
    kind: 'text',
    name: 'text',
    createdAt: 'timestamptz',
    disabledAt: 'timestamptz?',
    disabledReason: 'text?',
    checks: 'int8',
    lastSent: 'timestamptz?',
    lastError: 'text?',
    lastErrorAt: 'timestamptz?',
    alerts: 'jsonb?',
  },
  `SELECT c.id, c.kind, c.name, c.created_at AS "createdAt", c.disabled_at AS "disabledAt", c.disabled_reason AS "disabledReason",
     (SELECT count(*) FROM check_channels mc WHERE mc.channel_id = c.id) AS checks,
     (SELECT max(d.finished_at) FROM deliveries d WHERE d.channel_id = c.id AND d.status = 'sent') AS "lastSent",
     failed.detail AS "lastError", failed.created_at AS "lastErrorAt", c.alerts
   FROM channels c LEFT JOIN LATERAL (
     SELECT d.detail, d.created_at FROM deliveries d WHERE d.channel_id = c.id AND d.status IN ('retrying', 'dead')
     ORDER BY d.created_at DESC LIMIT 1) failed ON true
   WHERE c.project_id = $1 AND ($2::uuid IS NULL OR c.id = $2) ORDER BY c.created_at, c.id`,
)

/** All channels of the project in the order of creation, or one. */
export async function selectSummaries(on: Queryable, projectId: string, id?: string): Promise<ChannelSummary[]> {
  return on.query(summaries, [projectId, id ?? null])
}

const insert = statement(
  'channels_insert',
  'INSERT INTO channels (id, project_id, kind, name, settings, alerts, recipient_confirmed) VALUES ($1, $2, $3, $4, $5, $6, $7)',
)

export async function insertChannel(
  tx: Queryable,
  channel: Omit<Channel, 'disabledAt' | 'disabledReason'>,
): Promise<void> {
  const { id, projectId, kind, name, settings, alerts, recipientConfirmed } = channel
  const values = [id, projectId, kind, name, settings, alerts && JSON.stringify(alerts), recipientConfirmed]
  await tx.query(insert, values)
}

const update = statement(
  'channels_update',
  { id: 'uuid' },
  `UPDATE channels SET name = coalesce($3, name), settings = coalesce($4, settings),
     alerts = CASE WHEN $6 THEN $5::jsonb ELSE alerts END, recipient_confirmed = coalesce($7, recipient_confirmed),
     disabled_at = CASE WHEN $4::bytea IS NULL THEN disabled_at END,
     disabled_reason = CASE WHEN $4::bytea IS NULL THEN disabled_reason END,
     retry_after_at = CASE WHEN $4::bytea IS NULL THEN retry_after_at END
   WHERE id = $1 AND project_id = $2 RETURNING id`,
)

/**
 * Undefined leaves a value unchanged. New settings switch the channel on again, and remove the pause of the old
 * destination.
 */
export async function updateChannel(
  tx: Queryable,
  projectId: string,
  id: string,
  change: {
    name?: string | undefined
    settings?: Uint8Array | undefined
    alerts?: WantedAlerts | null | undefined
    recipientConfirmed?: boolean | undefined
  },
): Promise<boolean> {
  const { name, settings, alerts, recipientConfirmed } = change
  const alertsJson = alerts ? JSON.stringify(alerts) : null
  const values = [name ?? null, settings ?? null, alertsJson, alerts !== undefined, recipientConfirmed ?? null]
  return (await tx.query(update, [id, projectId, ...values])).length > 0
}

const remove = statement(
  'channels_delete',
  { id: 'uuid' },
  'DELETE FROM channels WHERE id = $1 AND project_id = $2 RETURNING id',
)

/** False if there is none. */
export async function deleteChannel(tx: Queryable, projectId: string, id: string): Promise<boolean> {
  return (await tx.query(remove, [id, projectId])).length > 0
}

const disable = statement(
  'channels_disable',
  { id: 'uuid' },
  `UPDATE channels SET disabled_at = now(), disabled_reason = left($4, 200)
   WHERE id = $1 AND project_id = $2 AND settings = $3 AND disabled_at IS NULL RETURNING id`,
)

/**
 * Compares and sets by the settings that failed: false if they have been changed since, or the channel is already off.
 */
export async function disableChannel(tx: Queryable, channel: Channel, reason: string): Promise<boolean> {
  return (await tx.query(disable, [channel.id, channel.projectId, channel.settings, reason])).length > 0
}

const projectName = statement('channels_project_name', { name: 'text' }, 'SELECT name FROM projects WHERE id = $1')

/** Empty if there is no such project. */
export async function selectProjectName(on: Queryable, id: string): Promise<string> {
  return (await on.query(projectName, [id]))[0]?.name ?? ''
}

const unconfirm = statement('channels_unconfirm', 'UPDATE channels SET recipient_confirmed = false WHERE id = $1')

/** The recipient of the channel has to confirm again. */
export async function unconfirmRecipient(tx: Queryable, id: string): Promise<void> {
  await tx.query(unconfirm, [id])
}

const unreachable = statement(
  'channels_unreachable_projects',
  { count: 'int4' },
  `SELECT count(DISTINCT c.project_id)::int AS count FROM channels c
   WHERE c.disabled_at IS NOT NULL AND EXISTS (SELECT FROM check_channels mc WHERE mc.channel_id = c.id)
     AND NOT EXISTS (SELECT FROM channels o WHERE o.project_id = c.project_id AND o.disabled_at IS NULL)`,
)

/** For all projects: how many have checks with channels, and no channel that is switched on. */
export async function countUnreachableProjects(on: Queryable): Promise<number> {
  return (await on.query(unreachable))[0]?.count ?? 0
}

const byKey = statement(
  'channels_by_key',
  { keyId: 'text', count: 'int4' },
  `SELECT encode(substring(settings FROM 2 FOR 4), 'hex') AS "keyId", count(*)::int AS count FROM channels GROUP BY 1 ORDER BY 1`,
)

/** For all projects: how many channels are encrypted with which key. */
export async function countByKey(on: Queryable): Promise<{ keyId: string; count: number }[]> {
  return on.query(byKey)
}

export type EncryptedSettings = { id: string; settings: Buffer<ArrayBuffer> }

const encryptedSettings = statement<EncryptedSettings>(
  'channels_boxes',
  { id: 'uuid', settings: 'bytea' },
  'SELECT id, settings FROM channels WHERE id > $1 ORDER BY id LIMIT $2',
)

/** For all projects, for the operator: in the order of their ids, after the one with id `after`. */
export async function selectEncryptedSettings(
  on: Queryable,
  after: string,
  limit: number,
): Promise<EncryptedSettings[]> {
  return on.query(encryptedSettings, [after, limit])
}

const exchange = statement(
  'channels_exchange',
  { id: 'uuid' },
  `UPDATE channels SET settings = b.after FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS b(id, before, after)
   WHERE channels.id = b.id AND channels.settings = b.before RETURNING channels.id`,
)

/** Compares and sets: settings that were changed meanwhile stay. Returns how many were replaced. */
export async function replaceEncryptedSettings(
  tx: Queryable,
  changes: readonly { before: EncryptedSettings; after: Buffer }[],
): Promise<number> {
  const ids = changes.map(({ before }) => before.id)
  const rows = await tx.query(exchange, [
    ids,
    changes.map(({ before }) => before.settings),
    changes.map(({ after }) => after),
  ])
  return rows.length
}
