import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'
import { healthMetricsRoutes } from './routes.ts'
import { createHealthMetrics } from './service.ts'

export const healthMetricsPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const healthMetrics = createHealthMetrics({
      database: app.database,
      read: app.domainMetrics.read,
      node: hostname(),
    })
    const loop = createLoop({
      name: 'health-metrics',
      intervalMs: config.healthMetrics.intervalMs,
      log: app.log,
      step: async () => {
        await healthMetrics.sample()
        return false
      },
    })
    app.lifecycle.onStart('health-metrics', async () => loop.start())
    await app.register(healthMetricsRoutes, { healthMetrics, intervalMs: config.healthMetrics.intervalMs })
    app.addHook('onClose', async () => {
      await loop.stop()
      // The last sample contains the final counts of this process.
      if (app.lifecycle.wasReady) await healthMetrics.sample().catch(() => undefined)
    })
  },
  { name: 'health-metrics', dependencies: ['database', 'metrics', 'lifecycle', 'auth'] },
)
