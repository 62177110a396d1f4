// Successful authentications: the first use of a credential from a network within a day is one audit entry and one log
// line, over all replicas. Each call costs a look-up in memory, and waits for nothing.

import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { networkOf } from '../kit/network.ts'
import { writeSignIn } from './store.ts'

/** `projectId` is empty for the operator. */
export type SignIn = { address: string; actor: string; projectId: string; requestId: string }

const dayMs = 86_400_000
/** Further addresses of one day have no entry. */
const addressesMax = 10_000

export type SignIns = ReturnType<typeof createSignIns>

export function createSignIns(options: {
  database: Pick<Database, 'transaction'>
  now: () => number
  log: { info(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { database, now, log } = options
  /** When the credential was last seen as new, the oldest first. */
  const seen = new Map<string, number>()
  const waiting: { entry: SignIn; network: string; at: number }[] = []

  function forgetOld(at: number): void {
    for (const [key, since] of seen) {
      if (at - since < dayMs) return
      seen.delete(key)
    }
  }

  return {
    /** Never fails and never waits. */
    note(entry: SignIn): void {
      const key = `${entry.projectId} ${entry.actor} ${entry.address}`
      const at = now()
      const since = seen.get(key)
      if (since !== undefined && at - since < dayMs) return
      forgetOld(at)
      if (seen.size >= addressesMax) return
      seen.delete(key)
      seen.set(key, at)
      waiting.push({ entry, network: networkOf(entry.address, 32, 64), at })
    },

    /** Writes the new entries. If the database is unavailable, it rejects and keeps them. */
    async flush(): Promise<void> {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        const { entry, network, at } = next
        const { address: ip, actor, projectId, requestId } = entry
        try {
          const isNew = await database.transaction((tx) => writeSignIn(tx, { ...entry, network, at }))
          const line = { event: 'auth.success', ip, actor, projectId, requestId }
          if (isNew) log.info(line, 'a credential is used from an address for the first time within a day')
        } catch (err) {
          if (isDatabaseAway(err)) throw err
          const line = { err, event: 'audit.not_written', action: 'auth.success', ip }
          log.error(line, 'an entry is missing in the audit log')
        }
        waiting.shift()
      }
    },
  }
}
