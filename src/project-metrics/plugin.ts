import fp from 'fastify-plugin'
import { expose } from './exposition.ts'
import { projectMetricsRoutes } from './routes.ts'

export const projectMetricsPlugin = fp(
  async (app) => {
    const { checks } = app
    await app.register(projectMetricsRoutes, {
      expose: (projectId) => expose(checks.readings(projectId), checks.now, checks.uniqueKey),
    })
  },
  { name: 'project-metrics', dependencies: ['checks', 'auth'] },
)
