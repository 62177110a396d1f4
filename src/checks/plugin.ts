import fp from 'fastify-plugin'
import { definitionRoutes } from './definitions/definition-routes.ts'
import type { CancelDeliveries, DeleteHistory } from './editing.ts'
import { checkRoutes } from './routes.ts'
import { type Checks, createChecks } from './service.ts'
import { signingRoutes } from './signing/signing-routes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    checks: Checks
  }
}

/** Counting reads every check. */
const countEveryMs = 15_000
const statuses = ['new', 'up', 'down', 'paused']

export const checksPlugin = fp<{ cancelDeliveries: CancelDeliveries; deleteHistory: readonly DeleteHistory[] }>(
  async (app, { cancelDeliveries, deleteHistory }) => {
    const { flips, observe, tenant } = app.domainMetrics
    const checks = createChecks({
      database: app.database,
      writeAudit: app.audit.write,
      quotas: app.quotas,
      blindTime: app.blindTime,
      siteUrl: app.siteUrl,
      cancelDeliveries,
      deleteHistory,
      log: app.log,
      onFlip(flip, { id, projectId }) {
        const { from, to, reason } = flip
        flips.inc({ from, to, reason: reason.startsWith('exit ') ? 'exit' : reason, tenant: tenant(projectId) })
        app.tracing?.flip({ ...flip, checkId: id })
      },
      // Its keys belong to the channels, which are registered later.
      encryption: () => app.channels.encryption,
    })
    app.decorate('checks', checks)
    const count = async () => {
      const counted = new Map((await checks.countByStatus()).map(({ status, count }) => [status, count]))
      return statuses.map((status) => ({ value: counted.get(status) ?? 0, labels: { status } }))
    }
    observe('monitors', count, { everyMs: countEveryMs })
    await app.register(checkRoutes, { checks })
    await app.register(definitionRoutes, { checks })
    await app.register(signingRoutes, { signing: checks.signing })
  },
  { name: 'checks', dependencies: ['auth', 'quotas', 'blind-time', 'metrics', 'site-url'] },
)
