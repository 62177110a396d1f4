// Replaces the key that encrypts channels' settings: everything that older keys of the list encrypted is encrypted with
// the first one, after which the older keys can be removed. Several operators may call it at once, and channels may be
// changed meanwhile.

import type { Actor, WriteAudit } from '../../audit/store.ts'
import type { Database } from '../../database/service.ts'
import { type EncryptedSettings, replaceEncryptedSettings, selectEncryptedSettings } from '../channels-store.ts'
import { type Encryption, settingsContext } from './encryption.ts'

/** `unreadable` were encrypted with a key that is not in the list: they are lost unless it is added again. */
export type Reencrypted = { channels: number; reencrypted: number; unreadable: number }

const pageMax = 500
const first = '00000000-0000-0000-0000-000000000000'

export function createReencryption(options: { database: Database; encryption: Encryption; writeAudit: WriteAudit }) {
  const { database, encryption, writeAudit } = options

  /** Null if no key of the list decrypts it. */
  function reencrypt({ id, settings }: EncryptedSettings): Buffer | null {
    const context = settingsContext(id)
    try {
      return encryption.encrypt(encryption.decrypt(settings, context), context)
    } catch {
      return null
    }
  }

  return async function reencryptAll(by: Actor): Promise<Reencrypted> {
    const total = { channels: 0, reencrypted: 0, unreadable: 0 }
    for (let after = first; ; ) {
      const page = await selectEncryptedSettings(database, after, pageMax)
      const changes = page
        .filter(({ settings }) => !encryption.isCurrent(settings))
        .map((before) => ({ before, after: reencrypt(before) }))
      const readable = changes.flatMap(({ before, after }) => (after === null ? [] : [{ before, after }]))
      total.channels += page.length
      total.unreadable += changes.length - readable.length
      if (readable.length > 0) {
        total.reencrypted += await database.transaction(async (tx) => {
          const reencrypted = await replaceEncryptedSettings(tx, readable)
          await writeAudit(tx, { ...by, action: 'channel.reencrypt', target: 'channels', detail: { reencrypted } })
          return reencrypted
        })
      }
      if (page.length < pageMax) return total
      after = page.at(-1)?.id ?? first
    }
  }
}
