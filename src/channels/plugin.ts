import fp from 'fastify-plugin'
import { type Config, version } from '../config/load.ts'
import { createAddressList } from '../http/admission/address-list.ts'
import { createGuardedFetch } from '../outbound/guarded-fetch.ts'
import type { DeliveryQueue } from './delivery-queue.ts'
import { confirmationRoutes } from './recipients/confirmation-routes.ts'
import { createMailLinkAuthenticators } from './recipients/link-authenticators.ts'
import { unsubscribeRoutes } from './recipients/unsubscribe-routes.ts'
import { channelListRoutes, channelRoutes } from './routes.ts'
import { loadKeys } from './secrets/encryption.ts'
import { type ChannelService, createChannelService } from './service.ts'
import { transports } from './transports.ts'
import { smtpOf } from './wire/smtp.ts'

declare module 'fastify' {
  interface FastifyInstance {
    channels: ChannelService
  }
}

/** Counting queries the database, and every replica is scraped. */
const countEveryMs = 15_000

/** `queue` is the queue of deliveries, which belongs to notifications/. */
export const channelsPlugin = fp<{ config: Config; queue: DeliveryQueue }>(
  async (app, { config, queue }) => {
    const { database, circuitBreakers: breakers, domainMetrics: metrics, log, quotas } = app
    const { security, server, alerting: limits } = config
    const guardedFetch = createGuardedFetch({
      allowPrivateTargets: limits.allowPrivateTargets,
      httpsOnly: limits.httpsOnly,
      isExempt: createAddressList(limits.allowedTargets),
      timeoutMs: longestTimeoutMs(config.breakers),
      responseMaxBytes: limits.responseMaxBytes,
      userAgent: `Flatline/${version}`,
    })
    const channels = createChannelService({
      database,
      keys: loadKeys({ encryptionKey: security.encryptionKey, dataDir: server.dataDir }),
      transports,
      fetch: app.tracing?.fetch(guardedFetch) ?? guardedFetch,
      capabilities: { smtp: smtpOf(limits), shell: limits.allowShellChannels },
      queue,
      breakers,
      writeAudit: app.audit.write,
      quotas,
      siteUrl: app.siteUrl,
      limits,
      observe: (kind, seconds) => metrics.deliverySeconds.observe({ kind }, seconds),
      log,
      now: database.clock.now,
      signingSecrets: app.checks.signing.column,
    })
    app.decorate('channels', channels)
    const unreachable = async () => [{ value: await channels.unreachableProjects() }]
    metrics.observe('unreachable_projects', unreachable, { everyMs: countEveryMs })

    const { recipients } = channels
    app.authenticators.push(...createMailLinkAuthenticators({ recipients, channels }))
    await app.register(channelRoutes, { channels, stopping: app.lifecycle.closing })
    await app.register(channelListRoutes, { channels })
    await app.register(confirmationRoutes, { recipients })
    await app.register(unsubscribeRoutes, { channels })
  },
  {
    name: 'channels',
    dependencies: ['database', 'circuit-breakers', 'lifecycle', 'audit', 'auth', 'quotas', 'metrics', 'site-url'],
  },
)

function longestTimeoutMs(breakers: Config['breakers']): number {
  const all = [breakers, ...Object.values(breakers.overrides)]
  return Math.max(...all.map(({ requestTimeoutMs }) => requestTimeoutMs ?? 0))
}
