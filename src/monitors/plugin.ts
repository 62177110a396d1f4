import fp from 'fastify-plugin'
import { checkRoutes } from './routes.ts'
import { createMonitors, type Monitors } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    monitors: Monitors
  }
}

export const monitorsPlugin = fp(
  async (app) => {
    const { flips } = app.domainMetrics
    const monitors = createMonitors({
      database: app.database,
      writeAudit: app.audit.write,
      blindTime: app.blindTime,
      siteUrl: app.siteUrl,
      log: app.log,
      countFlip: ({ from, to, reason }) =>
        flips.inc({ from, to, reason: reason.startsWith('exit ') ? 'exit' : reason }),
    })
    app.decorate('monitors', monitors)
    app.domainMetrics.watchMonitors(monitors.countByStatus)
    await app.register(checkRoutes, { monitors })
  },
  { name: 'monitors', dependencies: ['auth', 'blind-time', 'metrics', 'site-url'] },
)
