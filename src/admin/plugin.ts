import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import type { AuditEntry } from '../audit/store.ts'
import { adminRoutes } from './routes.ts'

/** The operator does not wait longer for a database that hangs. */
const patienceMs = 1000

/** What the process offers to its operator; `shutdown` takes the same path as a signal. */
export const adminPlugin = fp<{ shutdown: () => void }>(
  async (app, { shutdown }) => {
    const { audit, database, log } = app

    /** Apart from what it tells about: the operator must be heard most when the database cannot be written to. */
    async function record(entry: AuditEntry): Promise<void> {
      log.info({ event: entry.action, requestId: entry.requestId, ...entry.detail }, 'the operator has spoken')
      const written = audit.write(database, entry).catch((err: Error) => {
        log.error({ err, event: 'audit.not_written', action: entry.action }, 'an entry is missing in the audit trail')
      })
      await Promise.race([written, sleep(patienceMs, undefined, { ref: false })])
    }

    await app.register(adminRoutes, { shutdown, record, log })
  },
  { name: 'admin', dependencies: ['auth', 'audit', 'lifecycle', 'http-pressure'] },
)
