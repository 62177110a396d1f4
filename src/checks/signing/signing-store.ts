import type { Queryable } from '../../database/connection/client.ts'
import { statement } from '../../database/sql.ts'

const lock = statement(
  'checks_lock_signing_secret',
  { secret: 'bytea?' },
  'SELECT signing_secret AS secret FROM checks WHERE id = $1 AND project_id = $2 FOR UPDATE',
)

/** Undefined if the project has no such check; null without a secret. */
export async function lockSigningSecret(
  tx: Queryable,
  projectId: string,
  id: string,
): Promise<Buffer | null | undefined> {
  const [row] = await tx.query(lock, [id, projectId])
  return row?.secret
}

const write = statement('checks_write_signing_secret', 'UPDATE checks SET signing_secret = $2 WHERE id = $1')

export async function writeSigningSecret(tx: Queryable, id: string, secret: Buffer | null): Promise<void> {
  await tx.query(write, [id, secret])
}

export type EncryptedSecret = { id: string; box: Buffer<ArrayBuffer> }

const encrypted = statement<EncryptedSecret>(
  'checks_signing_secrets',
  { id: 'uuid', box: 'bytea' },
  'SELECT id, signing_secret AS box FROM checks WHERE id > $1 AND signing_secret IS NOT NULL ORDER BY id LIMIT $2',
)

/** For all projects, in the order of their ids, after the one with id `after`. */
export async function selectSigningSecrets(on: Queryable, after: string, limit: number): Promise<EncryptedSecret[]> {
  return on.query(encrypted, [after, limit])
}

const exchange = statement(
  'checks_exchange_signing_secrets',
  { id: 'uuid' },
  `UPDATE checks SET signing_secret = b.after FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS b(id, before, after)
   WHERE checks.id = b.id AND checks.signing_secret = b.before RETURNING checks.id`,
)

/** Compares and sets: secrets that were changed meanwhile stay. Returns how many were replaced. */
export async function replaceSigningSecrets(
  tx: Queryable,
  changes: readonly { before: EncryptedSecret; after: Buffer }[],
): Promise<number> {
  const ids = changes.map(({ before }) => before.id)
  const rows = await tx.query(exchange, [
    ids,
    changes.map(({ before }) => before.box),
    changes.map(({ after }) => after),
  ])
  return rows.length
}
