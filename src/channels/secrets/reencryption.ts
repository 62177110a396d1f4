// Replaces the key that encrypts channels' settings and the signing secrets of checks: everything that older keys of the
// list encrypted is encrypted with the first one, after which the older keys can be removed. Several operators may call
// it at once, and rows may be changed meanwhile.

import type { Actor, WriteAudit } from '../../audit/store.ts'
import type { Queryable } from '../../database/connection/client.ts'
import type { Database } from '../../database/service.ts'
import { replaceEncryptedSettings, selectEncryptedSettings } from '../channels-store.ts'
import { type Encryption, settingsContext } from './encryption.ts'

/** `unreadable` were encrypted with a key that is not in the list: they are lost unless it is added again. */
export type Reencrypted = { channels: number; checks: number; reencrypted: number; unreadable: number }

type Encrypted = { id: string; box: Buffer<ArrayBuffer> }

/** The encrypted column of a table: pages in the order of ids, and a compare-and-set that returns how many it replaced. */
export type EncryptedColumn = {
  context: (id: string) => string
  select: (after: string, limit: number) => Promise<Encrypted[]>
  replace: (tx: Queryable, changes: readonly { before: Encrypted; after: Buffer }[]) => Promise<number>
}

const pageMax = 500
const first = '00000000-0000-0000-0000-000000000000'

export function createReencryption(options: {
  database: Database
  encryption: Encryption
  writeAudit: WriteAudit
  signingSecrets: EncryptedColumn
}) {
  const { database, encryption, writeAudit, signingSecrets } = options

  const settings: EncryptedColumn = {
    context: settingsContext,
    select: async (after, limit) =>
      (await selectEncryptedSettings(database, after, limit)).map((row) => ({ id: row.id, box: row.settings })),
    replace: (tx, changes) =>
      replaceEncryptedSettings(
        tx,
        changes.map(({ before, after }) => ({ before: { id: before.id, settings: before.box }, after })),
      ),
  }

  /** Null if no key of the list decrypts it. */
  function reencrypt(box: Buffer, context: string): Buffer | null {
    try {
      return encryption.encrypt(encryption.decrypt(box, context), context)
    } catch {
      return null
    }
  }

  async function reencryptColumn(
    by: Actor,
    column: EncryptedColumn,
    target: string,
    total: Reencrypted,
  ): Promise<number> {
    for (let after = first, count = 0; ; ) {
      const page = await column.select(after, pageMax)
      const changes = page
        .filter(({ box }) => !encryption.isCurrent(box))
        .map((before) => ({ before, after: reencrypt(before.box, column.context(before.id)) }))
      const readable = changes.flatMap(({ before, after }) => (after === null ? [] : [{ before, after }]))
      count += page.length
      total.unreadable += changes.length - readable.length
      if (readable.length > 0) {
        total.reencrypted += await database.transaction(async (tx) => {
          const reencrypted = await column.replace(tx, readable)
          await writeAudit(tx, { ...by, action: 'channel.reencrypt', target, detail: { reencrypted } })
          return reencrypted
        })
      }
      if (page.length < pageMax) return count
      after = page.at(-1)?.id ?? first
    }
  }

  return async function reencryptAll(by: Actor): Promise<Reencrypted> {
    const total = { channels: 0, checks: 0, reencrypted: 0, unreadable: 0 }
    total.channels = await reencryptColumn(by, settings, 'channels', total)
    total.checks = await reencryptColumn(by, signingSecrets, 'checks', total)
    return total
  }
}
