// Failed authentications, counted by address and minute: a flood of them is one audit entry and one log line, and
// delays no caller. The entry appears with the first failure and grows during its minute. An entry that the database
// refuses is logged and dropped, because it would block all later ones.

import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { amendAudit, writeAudit } from './store.ts'

/** `projectId` is empty unless the key belongs to a project. `reason` is one of a fixed set of words. */
export type AuthFailure = { address: string; reason: string; projectId: string; requestId: string }

type Aggregate = {
  address: string
  projectId: string
  minute: number
  reasons: Record<string, number>
  from: number
  to: number
  entryId: number | undefined
  isWritten: boolean
}

const minuteMs = 60_000
/** Further addresses are only counted in the log. */
const addressesMax = 10_000

export type AuthFailures = ReturnType<typeof createAuthFailures>

export function createAuthFailures(options: {
  database: Pick<Database, 'transaction' | 'query'>
  now: () => number
  log: { warn(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { database, now, log } = options
  const aggregates = new Map<string, Aggregate>()

  async function write(aggregate: Aggregate): Promise<void> {
    const { address, projectId, reasons, from, to } = aggregate
    const count = Object.values(reasons).reduce((sum, one) => sum + one, 0)
    const detail = { count, reasons, from: new Date(from).toISOString(), to: new Date(to).toISOString() }
    aggregate.isWritten = true
    try {
      if (aggregate.entryId !== undefined) await amendAudit(database, aggregate.entryId, detail)
      else {
        const entry = { projectId, actor: 'anonymous', action: 'auth.failure', target: address, address, detail }
        aggregate.entryId = await database.transaction((tx) => writeAudit(tx, entry))
      }
    } catch (err) {
      aggregate.isWritten = !isDatabaseAway(err)
      if (!aggregate.isWritten) throw err
      const line = { err, event: 'audit.not_written', action: 'auth.failure', ip: address }
      log.error(line, 'an entry is missing in the audit log')
    }
  }

  return {
    /** Never fails and never waits. */
    note(failure: AuthFailure): void {
      const at = now()
      const minute = Math.floor(at / minuteMs)
      const address = aggregates.size < addressesMax ? failure.address : 'others'
      const key = `${minute} ${address} ${failure.projectId}`
      let aggregate = aggregates.get(key)
      if (aggregate === undefined) {
        const { projectId, reason } = failure
        aggregate = { address, projectId, minute, reasons: {}, from: at, to: at, entryId: undefined, isWritten: false }
        aggregates.set(key, aggregate)
        const { requestId } = failure
        log.warn({ event: 'auth.failure', ip: address, reason, requestId }, 'authentication failed')
      }
      aggregate.reasons[failure.reason] = (aggregate.reasons[failure.reason] ?? 0) + 1
      aggregate.to = at
      aggregate.isWritten = false
    },

    /** Writes the new entries. If the database is unavailable, it rejects and keeps them. */
    async flush(): Promise<void> {
      const minute = Math.floor(now() / minuteMs)
      for (const [key, aggregate] of aggregates) {
        if (!aggregate.isWritten) await write(aggregate)
        if (aggregate.isWritten && aggregate.minute < minute) aggregates.delete(key)
      }
    },
  }
}
