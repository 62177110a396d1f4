import fp from 'fastify-plugin'
import { expose } from './exposition.ts'
import { projectMetricsRoutes } from './routes.ts'

export const projectMetricsPlugin = fp(
  async (app) => {
    const { monitors } = app
    await app.register(projectMetricsRoutes, {
      expose: (projectId) => expose(monitors.readings(projectId), monitors.now, monitors.uniqueKey),
    })
  },
  { name: 'project-metrics', dependencies: ['monitors', 'auth'] },
)
