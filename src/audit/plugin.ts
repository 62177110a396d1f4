import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'
import { type AuthFailures, createAuthFailures } from './failures.ts'
import { createPostponed, type Postponed } from './postponed.ts'
import { auditRoutes } from './routes.ts'
import { createAuditTrail } from './service.ts'
import { createShutdownRecord, type ShutdownRecord } from './shutdown.ts'
import { createSignIns, type SignIns } from './sign-ins.ts'
import { type WriteAudit, writeAudit } from './store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    audit: {
      /** Writes in the transaction of the change that it records. */
      write: WriteAudit
      /** Writes outside of any transaction: never rejects, and does not wait long. */
      record: Postponed['record']
      shutdown: ShutdownRecord
      authFailure: AuthFailures['note']
      signIn: SignIns['note']
    }
  }
}

const writeIntervalMs = 1000

export const auditPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, log } = app
    const { gracefulShutdowns } = app.domainMetrics
    const shutdown = createShutdownRecord({ database, dataDir: config.server.dataDir, node: hostname(), log })
    const failures = createAuthFailures({ database, now: database.clock.now, log })
    const signIns = createSignIns({ database, now: database.clock.now, log })
    const postponed = createPostponed({ database, log })
    const { record } = postponed
    app.decorate('audit', {
      ...{ write: writeAudit, record, shutdown },
      ...{ authFailure: failures.note, signIn: signIns.note },
    })

    const writing = createLoop({
      name: 'audit',
      intervalMs: writeIntervalMs,
      log,
      step: async () => {
        await postponed.flush()
        await failures.flush()
        await signIns.flush()
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
      await postponed.close()
      await failures.flush().catch(() => undefined)
      await signIns.flush().catch(() => undefined)
    })
  },
  { name: 'audit', dependencies: ['database', 'metrics'] },
)

/**
 * A plugin of its own: every module writes entries, and authentication, which reading needs, is registered only later.
 */
export const auditTrailPlugin = fp(
  async (app) => {
    await app.register(auditRoutes, { trail: createAuditTrail({ database: app.database }) })
  },
  { name: 'audit-trail', dependencies: ['audit', 'auth'] },
)
