// Audit entries of the operator's actions, which have no transaction. The operator must be able to act when the
// database cannot be written, and must not wait for it. An entry that cannot be written at once waits here, in order,
// and keeps its time.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { type AuditEntry, writeAudit } from './store.ts'

export type Postponed = ReturnType<typeof createPostponed>

const patienceMs = 1000
const waitingMax = 1000

export function createPostponed(options: {
  database: Database
  log: { warn(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { database, log } = options
  let waiting: AuditEntry[] = []

  function postpone(entry: AuditEntry, err: unknown): void {
    if (waiting.length >= waitingMax || !isTemporary(err)) {
      lose(entry, err)
      return
    }
    waiting.push(entry)
    log.warn({ event: 'audit.postponed', action: entry.action }, 'an audit entry waits for the database')
  }

  function lose({ action, target }: AuditEntry, err: unknown): void {
    log.error({ err, event: 'audit.not_written', action, target }, 'an entry is missing in the audit log')
  }

  async function flush(): Promise<void> {
    for (let entry = waiting[0]; entry !== undefined; entry = waiting[0]) {
      const first = entry
      await writeAudit(database, first).catch((err) => {
        if (isTemporary(err)) throw err
        lose(first, err)
      })
      waiting.shift()
    }
  }

  return {
    /** Never rejects. */
    async record(entry: AuditEntry): Promise<void> {
      const dated = { ...entry, at: database.clock.now() }
      const written = writeAudit(database, dated).then(
        () => undefined,
        (err) => postpone(dated, err),
      )
      await Promise.race([written, sleep(patienceMs, undefined, { ref: false })])
    },

    /** Writes the waiting entries; rejects while the database is unavailable. */
    flush,

    /** The last flush: logs the entries that are left. Never rejects. */
    async close(): Promise<void> {
      await flush().catch((err) => {
        for (const entry of waiting) lose(entry, err)
        waiting = []
      })
    },
  }
}

/**
 * Whether waiting can help: the database is unavailable or not open yet. An entry that it refuses would always be
 * refused.
 */
function isTemporary(err: unknown): boolean {
  return isDatabaseAway(err) || (err as { code?: string }).code === 'unavailable'
}
