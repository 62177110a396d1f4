import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Config, version } from '../config/load.ts'
import { createAddressList } from '../http/address-list.ts'
import { createLoop } from '../kit/loop.ts'
import { createGuardedFetch } from '../outbound/guarded-fetch.ts'
import { attentionRoutes } from './attention-routes.ts'
import { channelListRoutes } from './channel-list-routes.ts'
import { confirmationRoutes } from './confirmation-routes.ts'
import { createEncryption, loadKeys } from './encryption.ts'
import { lookingRoutes } from './looking-routes.ts'
import { maintenanceRoutes } from './maintenance-routes.ts'
import { alertingRoutes } from './routes.ts'
import { type Alerting, createAlerting } from './service.ts'
import { createSignedLinks, type SignedLinks } from './signed-links.ts'
import { createSmtp, type SmtpRelay } from './smtp.ts'
import { transports } from './transports.ts'
import { unsubscribeRoutes } from './unsubscribe-routes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    alerting: Alerting
  }
}

/** Counting asks the database, and every replica is scraped. */
const countEveryMs = 15_000

/** How often alerts are looked at that were held back for a reason which passes. */
const releaseEveryMs = 15_000

/** One renewal may fail without the lease being lost. */
const renewalsPerLease = 3

/** Longer waiting for a destination that hangs would use up the time that the rest of the shutdown needs. */
const drainMs = 5000

export const alertingPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, checks, circuitBreakers: breakers, log, quotas } = app
    const { security, server } = config
    const timeouts = [config.breakers, ...Object.values(config.breakers.overrides)]
    const requestTimeoutMs = Math.max(...timeouts.map((settings) => settings.requestTimeoutMs ?? 0))
    const limits = config.alerting
    const metrics = app.domainMetrics

    const keys = loadKeys({ encryptionKey: security.encryptionKey, dataDir: server.dataDir })
    const relay = relayOf(config.alerting)
    const links = createSignedLinks({ keys, siteUrl: app.siteUrl })

    const alerting = createAlerting({
      database,
      encryption: createEncryption(keys),
      keys,
      transports,
      fetch: createGuardedFetch({
        allowPrivateTargets: limits.allowPrivateTargets,
        isExempt: createAddressList(limits.allowedTargets),
        timeoutMs: requestTimeoutMs,
        responseMaxBytes: limits.responseMaxBytes,
        userAgent: `Flatline/${version}`,
      }),
      facilities: { smtp: relay && createSmtp(relay), shell: limits.allowShellChannels },
      links,
      breakers,
      ...{ writeAudit: app.audit.write, quotas },
      checkDocuments: (wanted) => checks.documents(wanted, { version: 3, readOnly: false }),
      checkOfKey: checks.idOfKey,
      settingsOf: async (projectId, id) => (await checks.find(projectId, id)).settings,
      siteUrl: app.siteUrl,
      limits,
      onFree: () => deliveries.wake(),
      count: (kind, outcome, projectId) => metrics.deliveries.inc({ kind, outcome, tenant: metrics.tenant(projectId) }),
      observe: (kind, seconds) => metrics.deliverySeconds.observe({ kind }, seconds),
      log,
      now: database.clock.now,
      random: Math.random,
    })
    app.decorate('alerting', alerting)
    const waiting = async () => [{ value: await alerting.queueLength(), labels: { queue: 'deliveries' } }]
    metrics.observe('queue_length', waiting, { everyMs: countEveryMs })
    const unreachable = async () => [{ value: await alerting.unreachableProjects() }]
    metrics.observe('unreachable_projects', unreachable, { everyMs: countEveryMs })

    const { outbox, deliveries } = createLoops(app, alerting, limits)
    checks.onFlips(() => outbox.wake())
    breakers.onClosed(() => deliveries.wake())

    await registerRoutes(app, alerting, links)
  },
  {
    name: 'alerting',
    dependencies: [
      'database',
      'circuit-breakers',
      'lifecycle',
      'audit',
      'auth',
      'quotas',
      'checks',
      'metrics',
      'site-url',
    ],
  },
)

/** The loops run from the start step until the app closes. */
function createLoops(app: FastifyInstance, alerting: Alerting, { intervalMs, leaseMs }: Config['alerting']) {
  const { log } = app
  const deliveries = createLoop({ name: 'deliveries', intervalMs, log, step: alerting.claim })
  const outbox = createLoop({
    name: 'outbox',
    intervalMs,
    log,
    step: async () => {
      const { made, more } = await alerting.relay()
      if (made > 0) deliveries.wake()
      return more
    },
  })
  const held = createLoop({ name: 'held-alerts', intervalMs: releaseEveryMs, log, step: alerting.release })
  const leases = createLoop({
    name: 'leases',
    intervalMs: leaseMs / renewalsPerLease,
    log,
    step: async () => {
      await alerting.renewLeases()
      return false
    },
  })
  const loops = [outbox, deliveries, held]
  app.lifecycle.onStart('alerting', async () => {
    for (const loop of [...loops, leases]) loop.start()
  })
  app.addHook('onClose', async () => {
    await Promise.all(loops.map((loop) => loop.stop()))
    await alerting.drain(drainMs)
    await leases.stop()
  })
  return { outbox, deliveries }
}

async function registerRoutes(app: FastifyInstance, alerting: Alerting, links: SignedLinks): Promise<void> {
  const { channels, maintenance, attention, looking } = alerting
  await app.register(alertingRoutes, { alerting, stopping: app.lifecycle.closing })
  await app.register(maintenanceRoutes, { maintenance })
  await app.register(attentionRoutes, { attention })
  await app.register(lookingRoutes, { looking })
  await app.register(channelListRoutes, { channels })
  await app.register(confirmationRoutes, { recipients: alerting.recipients })
  await app.register(unsubscribeRoutes, { channels, links })
}

function relayOf(settings: Config['alerting']): SmtpRelay | null {
  const { smtpHost, smtpPort, smtpSecurity, smtpUser, smtpPassword, smtpFrom } = settings
  if (smtpHost === undefined || smtpFrom === undefined) return null
  const login =
    smtpUser !== undefined && smtpPassword !== undefined ? { user: smtpUser, pass: smtpPassword } : undefined
  return { host: smtpHost, port: smtpPort, security: smtpSecurity, from: smtpFrom, login }
}
