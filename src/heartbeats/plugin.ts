import fp from 'fastify-plugin'
import type { Config } from '../config.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { createLoop } from '../loop.ts'
import { createHistory } from './history.ts'
import { historyRoutes } from './history-routes.ts'
import { ensurePartitions } from './partitions.ts'
import { pingRoutes } from './routes.ts'
import { createHeartbeats, type Heartbeats } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    heartbeats: Heartbeats
  }
}

const partitionsIntervalMs = 600_000

export const heartbeatsPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, monitors } = app
    const metrics = app.domainMetrics
    const heartbeats = createHeartbeats({
      database,
      monitors,
      windows: app.blindTime.windows,
      limits: config.ingest,
      count: (kind, outcome, projectId, n) =>
        metrics.heartbeatsReceived.inc({ kind, outcome, tenant: metrics.tenant(projectId) }, n),
      makePartitions: () => ensurePartitions(database, config.ingest.partitionsAheadDays),
      log: app.log,
      observeBatch: (entries, seconds) => {
        metrics.batchEntries.observe(entries)
        metrics.batchSeconds.observe(seconds)
      },
    })
    app.decorate('heartbeats', heartbeats)
    for (const kind of signalKinds) metrics.heartbeatsReceived.inc({ kind, outcome: 'refused', tenant: '' }, 0)
    metrics.observe('queue_length', () => [{ value: heartbeats.queueLength(), labels: { queue: 'heartbeats' } }])

    const partitions = createLoop({
      name: 'partitions',
      intervalMs: partitionsIntervalMs,
      log: app.log,
      step: async () => {
        await ensurePartitions(database, config.ingest.partitionsAheadDays)
        return false
      },
    })
    app.lifecycle.onStart('heartbeats', async () => {
      await ensurePartitions(database, config.ingest.partitionsAheadDays)
      partitions.start()
    })
    app.addHook('onClose', async () => {
      await partitions.stop()
      await heartbeats.flush()
    })

    await app.register(pingRoutes, {
      heartbeats,
      projectOf: async (pingKey) => {
        const owner = await app.projects.authenticate(pingKey)
        return owner?.kind === 'ping_key' ? owner.projectId : null
      },
      monitors,
      bodyLimitBytes: config.ingest.pingBodyLimitBytes,
    })
    await app.register(historyRoutes, { history: createHistory({ database, siteUrl: app.siteUrl }), monitors })
  },
  { name: 'heartbeats', dependencies: ['auth', 'monitors', 'blind-time', 'metrics', 'site-url'] },
)
