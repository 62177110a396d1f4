import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { Config } from '../config.ts'
import { createLoop } from '../loop.ts'
import { type AuthFailures, createAuthFailures } from './failures.ts'
import { auditRoutes } from './routes.ts'
import { createAuditTrail } from './service.ts'
import { createShutdownRecord, type ShutdownRecord } from './shutdown.ts'
import { type WriteAudit, writeAudit } from './store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    audit: { write: WriteAudit; shutdown: ShutdownRecord; authFailure: AuthFailures['note'] }
  }
}

const failuresIntervalMs = 1000
const sweepIntervalMs = 3_600_000

export const auditPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, log } = app
    const { gracefulShutdowns } = app.domainMetrics
    const shutdown = createShutdownRecord({ database, dataDir: config.server.dataDir, node: hostname(), log })
    const failures = createAuthFailures({ database, now: database.clock.now, log })
    app.decorate('audit', { write: writeAudit, shutdown, authFailure: failures.note })

    const writing = createLoop({
      name: 'auth-failures',
      intervalMs: failuresIntervalMs,
      log,
      step: async () => {
        await failures.flush()
        return false
      },
    })
    app.lifecycle.onStart('audit', async () => {
      await shutdown.recover()
      for (const { reason, count } of await shutdown.counts()) gracefulShutdowns.inc({ reason }, count)
      writing.start()
    })
    app.addHook('onClose', async () => {
      await writing.stop()
      await failures.flush().catch(() => undefined)
    })
  },
  { name: 'audit', dependencies: ['database', 'metrics'] },
)

/** Apart from writing, which everything needs: who may read is known only further down. */
export const auditTrailPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, log } = app
    const trail = createAuditTrail({ database, retentionDays: config.retention.auditDays })
    const sweeping = createLoop({
      name: 'audit-sweep',
      intervalMs: sweepIntervalMs,
      log,
      step: async () => {
        const deleted = await trail.sweep()
        if (deleted > 0) log.info({ event: 'audit.swept', deleted }, 'old entries of the audit trail were deleted')
        return false
      },
    })
    app.lifecycle.onStart('audit-sweep', async () => sweeping.start())
    app.addHook('onClose', () => sweeping.stop())
    await app.register(auditRoutes, { trail })
  },
  { name: 'audit-trail', dependencies: ['audit', 'auth'] },
)
