import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'
import { createTiming } from '../logging/timing.ts'
import { checkPageRoutes } from './check-page/check-page-routes.ts'
import { createAlertLinkAuthenticators } from './link-authenticators.ts'
import { deliveryRoutes } from './routes.ts'
import { createNotifications, type Notifications } from './service.ts'
import { acknowledgementRoutes } from './suppression/acknowledgements-routes.ts'
import { maintenanceRoutes } from './suppression/maintenance-routes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    notifications: Notifications
  }
}

/** Counting queries the database, and every replica is scraped. */
const countEveryMs = 15_000

/** How often suppressed alerts whose reason may have passed are checked again. */
const releaseEveryMs = 15_000

/** One renewal may fail without losing the lease. */
const renewalsPerLease = 3

/** Waiting longer for a destination that hangs would use the time of the other steps of the shutdown. */
const drainMs = 5000

export const notificationsPlugin = fp<{ config: Config['alerting']; slowDeliveryMs: number }>(
  async (app, { config, slowDeliveryMs }) => {
    const { channels, checks, circuitBreakers: breakers, database, domainMetrics: metrics, log } = app
    const notifications = createNotifications({
      database,
      channels,
      writeAudit: app.audit.write,
      checkViews: checks.views,
      checkOfKey: checks.idOfKey,
      settingsOf: async (projectId, id) => (await checks.find(projectId, id)).settings,
      siteUrl: app.siteUrl,
      limits: config,
      onFree: () => deliveries.wake(),
      count(kind, outcome, projectId) {
        metrics.deliveries.inc({ kind, outcome, tenant: metrics.tenant(projectId) })
        app.tracing?.outcome(outcome)
      },
      timed: createTiming({ log, event: 'delivery.attempt', message: 'delivery attempted', slowMs: slowDeliveryMs }),
      traced: app.tracing?.delivery ?? ((_, attempt) => attempt()),
      log,
      now: database.clock.now,
      random: Math.random,
    })
    app.decorate('notifications', notifications)
    const queued = async () => [{ value: await notifications.queueLength(), labels: { queue: 'deliveries' } }]
    metrics.observe('queue_length', queued, { everyMs: countEveryMs })

    const { outbox, deliveries } = createLoops(app, notifications, config)
    checks.onFlips(() => outbox.wake())
    breakers.onClosed(() => deliveries.wake())
    channels.onFree(() => deliveries.wake())

    app.authenticators.push(...createAlertLinkAuthenticators(notifications))
    await app.register(deliveryRoutes, notifications)
    await app.register(maintenanceRoutes, notifications)
    await app.register(acknowledgementRoutes, notifications)
    await app.register(checkPageRoutes, notifications)
  },
  {
    name: 'notifications',
    dependencies: ['database', 'circuit-breakers', 'lifecycle', 'audit', 'auth', 'channels', 'checks', 'metrics'],
  },
)

/** The loops run from the start step until the app closes. */
function createLoops(app: FastifyInstance, notifications: Notifications, config: Config['alerting']) {
  const { log } = app
  const { intervalMs, leaseMs } = config
  const deliveries = createLoop({ name: 'deliveries', intervalMs, log, step: notifications.claim })
  const outbox = createLoop({
    name: 'outbox',
    intervalMs,
    log,
    step: async () => {
      const { made, more } = await notifications.relay()
      if (made > 0) deliveries.wake()
      return more
    },
  })
  const suppressed = createLoop({
    name: 'suppressed-alerts',
    intervalMs: releaseEveryMs,
    log,
    step: notifications.release,
  })
  const leases = createLoop({
    name: 'leases',
    intervalMs: leaseMs / renewalsPerLease,
    log,
    step: async () => {
      await notifications.renewLeases()
      return false
    },
  })
  const loops = [outbox, deliveries, suppressed]
  app.lifecycle.onStart('notifications', async () => {
    for (const loop of [...loops, leases]) loop.start()
  })
  app.addHook('onClose', async () => {
    await Promise.all(loops.map((loop) => loop.stop()))
    await notifications.drain(drainMs)
    await leases.stop()
  })
  return { outbox, deliveries }
}
