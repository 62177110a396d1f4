import fp from 'fastify-plugin'
import type { AuditEntry } from '../audit/store.ts'
import { alwaysLog } from '../logging/logger.ts'
import { adminRoutes } from './routes.ts'

/** The operator's calls to the process; `shutdown` takes the same path as a signal. */
export const adminPlugin = fp<{ shutdown: () => void }>(
  async (app, { shutdown }) => {
    const { audit, log } = app

    async function record(entry: AuditEntry): Promise<void> {
      const { action, requestId, detail } = entry
      alwaysLog(log).info({ event: action, requestId, ...detail }, 'the operator made a change')
      await audit.record(entry)
    }

    await app.register(adminRoutes, { shutdown, record, log })
  },
  { name: 'admin', dependencies: ['auth', 'audit', 'lifecycle', 'http-pressure'] },
)
