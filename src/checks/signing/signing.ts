// The secrets with which the jobs of a check sign their heartbeats. A new one is shown once; the one before it can stay
// valid for a while, so that no heartbeat is refused while jobs are changed.

import { randomBytes } from 'node:crypto'
import type { Actor, WriteAudit } from '../../audit/store.ts'
import { AppError } from '../../core/errors.ts'
import type { DatabaseSession } from '../../database/service.ts'
import { isoMillis } from '../../kit/instant.ts'
import * as store from './signing-store.ts'

/** Encrypts and decrypts; `context` names the row. */
type SecretBox = {
  encrypt(plain: string, context: string): Buffer<ArrayBuffer>
  decrypt(box: Uint8Array, context: string): string
}

/** `until` in epoch milliseconds; null for the current secret. */
type Secret = { secret: string; until: number | null }

const signingContext = (checkId: string) => `checks/${checkId}/signing`

export function createSigning(options: {
  database: DatabaseSession
  writeAudit: WriteAudit
  encryption: () => SecretBox
}) {
  const { database, writeAudit, encryption } = options

  /** Null if they cannot be decrypted. */
  function secretsOf(checkId: string, encrypted: Uint8Array): readonly Secret[] | null {
    try {
      return JSON.parse(encryption().decrypt(encrypted, signingContext(checkId))) as Secret[]
    } catch {
      return null
    }
  }

  return {
    secretsOf,

    /** Gives the check a new secret; the current one stays valid for `overlapS`. Both are returned in clear only here. */
    async rotate(
      by: Actor & { projectId: string },
      id: string,
      overlapS: number,
    ): Promise<{ signing_secret: string; previous_until: string | null }> {
      const secret = randomBytes(32).toString('base64url')
      return database.transaction(async (tx) => {
        const before = await store.lockSigningSecret(tx, by.projectId, id)
        if (before === undefined) throw new AppError('not_found', 'not found')
        const until = database.clock.now() + overlapS * 1000
        const current = before === null ? [] : (secretsOf(id, before) ?? []).filter((one) => one.until === null)
        const previous = overlapS === 0 ? [] : current.map((one) => ({ secret: one.secret, until }))
        const secrets: Secret[] = [{ secret, until: null }, ...previous]
        await store.writeSigningSecret(tx, id, encryption().encrypt(JSON.stringify(secrets), signingContext(id)))
        await writeAudit(tx, { ...by, action: 'check.rotate_secret', target: id, detail: { overlap: overlapS } })
        return { signing_secret: secret, previous_until: previous.length > 0 ? isoMillis(until) : null }
      })
    },

    /** Heartbeats need no signature any more. */
    async remove(by: Actor & { projectId: string }, id: string): Promise<void> {
      await database.transaction(async (tx) => {
        const before = await store.lockSigningSecret(tx, by.projectId, id)
        if (before === undefined) throw new AppError('not_found', 'not found')
        await store.writeSigningSecret(tx, id, null)
        if (before !== null) await writeAudit(tx, { ...by, action: 'check.remove_secret', target: id })
      })
    },

    /** For the replacement of the key that encrypts them. */
    column: {
      context: signingContext,
      select: (after: string, limit: number) => store.selectSigningSecrets(database, after, limit),
      replace: store.replaceSigningSecrets,
    },
  }
}
