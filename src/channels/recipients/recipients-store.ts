// Which addresses have confirmed that they want a project's mails, and how many mails a project may still send.
// Addresses are kept as hashes. Instants in epoch milliseconds.

import type { Queryable } from '../../database/connection/client.ts'
import { instant, statement } from '../../database/sql.ts'

/** `hash` is a hash of the project and the address. */
export type MailRecipient = { projectId: string; hash: Buffer }

const confirmed = statement(
  'recipients_confirmed',
  { projectId: 'uuid' },
  'SELECT project_id AS "projectId" FROM mail_recipients WHERE project_id = $1 AND address_hash = $2 AND confirmed_at IS NOT NULL',
)

export async function isConfirmed(on: Queryable, { projectId, hash }: MailRecipient): Promise<boolean> {
  return (await on.query(confirmed, [projectId, hash])).length > 0
}

const ask = statement(
  'recipients_ask',
  { projectId: 'uuid' },
  `INSERT INTO mail_recipients (project_id, address_hash, asked_at)
   SELECT $1::uuid, $2::bytea, ${instant('$3')}
   WHERE (SELECT count(*) FROM mail_recipients WHERE project_id = $1 AND asked_at > ${instant('$4')}) < $5::int
   ON CONFLICT (address_hash) DO UPDATE SET asked_at = EXCLUDED.asked_at
     WHERE mail_recipients.confirmed_at IS NULL AND mail_recipients.asked_at <= ${instant('$4')}
   RETURNING project_id AS "projectId"`,
)

/** False if the recipient was asked after `since` or has confirmed, or the project has asked `most` addresses since then. */
export async function askRecipient(
  tx: Queryable,
  { projectId, hash }: MailRecipient,
  { now, since, most }: { now: number; since: number; most: number },
): Promise<boolean> {
  return (await tx.query(ask, [projectId, hash, now, since, most])).length > 0
}

const asking = statement(
  'recipients_asking',
  { name: 'text' },
  `SELECT p.name FROM mail_recipients r JOIN projects p ON p.id = r.project_id
   WHERE r.address_hash = $1 AND r.asked_at <= ${instant('$2')}`,
)

/** The content of a link: its recipient, and when it was made. */
export type RecipientLink = { hash: Buffer; madeAt: number }

/** The name of the project that asked; null if none did, or if it has asked again or was refused since. */
export async function selectAskingProject(on: Queryable, { hash, madeAt }: RecipientLink): Promise<string | null> {
  return (await on.query(asking, [hash, madeAt]))[0]?.name ?? null
}

const confirm = statement(
  'recipients_confirm',
  { projectId: 'uuid' },
  `UPDATE mail_recipients SET confirmed_at = ${instant('$2')} WHERE address_hash = $1 AND asked_at <= ${instant('$3')}
   RETURNING project_id AS "projectId"`,
)

/** The id of that project, by the same rule. */
export async function confirmRecipient(
  tx: Queryable,
  { hash, madeAt }: RecipientLink,
  now: number,
): Promise<string | null> {
  return (await tx.query(confirm, [hash, now, madeAt]))[0]?.projectId ?? null
}

const revoke = statement(
  'recipients_revoke',
  `INSERT INTO mail_recipients (project_id, address_hash, asked_at) VALUES ($1, $2, ${instant('$3')})
   ON CONFLICT (address_hash) DO UPDATE SET confirmed_at = NULL, asked_at = EXCLUDED.asked_at`,
)

/** Treats the recipient as just asked and not confirmed. */
export async function revokeRecipient(tx: Queryable, { projectId, hash }: MailRecipient, now: number): Promise<void> {
  await tx.query(revoke, [projectId, hash, now])
}

const spend = statement(
  'recipients_spend',
  { projectId: 'uuid' },
  `INSERT INTO mail_allowances AS a (project_id, mails_left, at) VALUES ($1, $2::float8 - 1, ${instant('$3')})
   ON CONFLICT (project_id) DO UPDATE SET at = EXCLUDED.at,
     mails_left = least($2, a.mails_left + $2 * greatest(0, extract(epoch FROM EXCLUDED.at - a.at)::float8) / 3600) - 1
     WHERE least($2, a.mails_left + $2 * greatest(0, extract(epoch FROM EXCLUDED.at - a.at)::float8) / 3600) >= 1
   RETURNING project_id AS "projectId"`,
)

/** Spends one of the `perHour` mails that all replicas together may send for the project; false if none is left. */
export async function spendMail(on: Queryable, projectId: string, perHour: number, now: number): Promise<boolean> {
  return (await on.query(spend, [projectId, perHour, now])).length > 0
}
