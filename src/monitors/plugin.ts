import fp from 'fastify-plugin'
import { definitionRoutes } from './definition-routes.ts'
import { checkRoutes } from './routes.ts'
import { createMonitors, type Monitors } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    monitors: Monitors
  }
}

/** Counting looks at every monitor. */
const countEveryMs = 15_000
const statuses = ['new', 'up', 'down', 'paused']

export const monitorsPlugin = fp(
  async (app) => {
    const { flips, observe, tenant } = app.domainMetrics
    const monitors = createMonitors({
      database: app.database,
      writeAudit: app.audit.write,
      quotas: app.quotas,
      blindTime: app.blindTime,
      siteUrl: app.siteUrl,
      log: app.log,
      countFlip: ({ from, to, reason }, projectId) =>
        flips.inc({ from, to, reason: reason.startsWith('exit ') ? 'exit' : reason, tenant: tenant(projectId) }),
    })
    app.decorate('monitors', monitors)
    const count = async () => {
      const counted = new Map((await monitors.countByStatus()).map(({ status, count }) => [status, count]))
      return statuses.map((status) => ({ value: counted.get(status) ?? 0, labels: { status } }))
    }
    observe('monitors', count, { everyMs: countEveryMs })
    await app.register(checkRoutes, { monitors })
    await app.register(definitionRoutes, { monitors })
  },
  { name: 'monitors', dependencies: ['auth', 'quotas', 'blind-time', 'metrics', 'site-url'] },
)
