import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { createLoop } from '../loop.ts'
import { createHistory } from './history.ts'
import { historyRoutes } from './history-routes.ts'
import type { MailListener } from './mail-routes.ts'
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
      isCurrent: app.blindTime.isCurrent,
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
    const projectOf = async (pingKey: string) => {
      const owner = await app.projects.authenticate(pingKey)
      return owner?.kind === 'ping_key' ? owner.projectId : null
    }
    const mail = await openMailListener(app, config, projectOf)
    app.addHook('onClose', async () => {
      await mail?.close()
      await partitions.stop()
      await heartbeats.flush()
    })

    await app.register(pingRoutes, {
      heartbeats,
      projectOf,
      monitors,
      bodyLimitBytes: config.ingest.pingBodyLimitBytes,
    })
    await app.register(historyRoutes, { history: createHistory({ database, siteUrl: app.siteUrl }), monitors })
  },
  { name: 'heartbeats', dependencies: ['auth', 'monitors', 'blind-time', 'metrics', 'site-url'] },
)

/** Its libraries are not loaded where nobody wants them. */
async function openMailListener(
  app: FastifyInstance,
  config: Config,
  projectOf: (pingKey: string) => Promise<string | null>,
): Promise<MailListener | undefined> {
  const { features, ingest, limits, server } = config
  const { smtpPort } = features
  if (smtpPort === undefined) return undefined
  const { createMailListener } = await import('./mail-routes.ts')
  const listener = createMailListener({
    heartbeats: app.heartbeats,
    projectOf,
    accepting: () => app.lifecycle.phase !== 'starting',
    domain: features.pingEmailDomain,
    keptBytes: ingest.mailLimitBytes,
    messageMaxBytes: limits.mailMaxBytes,
    connectionsMax: limits.mailConnectionsMax,
    log: app.log,
  })
  // Before the main listener, so that a port which cannot be had stops the start like that one's.
  app.addHook('onReady', async () => {
    const port = await listener.listen(server.host, smtpPort)
    app.log.info({ event: 'mail.listening', port }, `taking heartbeats by e-mail on port ${port}`)
  })
  return listener
}
