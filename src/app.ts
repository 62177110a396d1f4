// The whole service in order of dependence. Start steps run from top to bottom once the listener answers, and closing
// runs from bottom to top: senders stop, then the detector, then ingest writes its queue, and the database closes last.

import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { authPlugin } from './accounts/plugin.ts'
import type { Keys } from './accounts/service.ts'
import { adminPlugin } from './admin/plugin.ts'
import { auditPlugin, auditTrailPlugin } from './audit/plugin.ts'
import { badgesPlugin } from './badges/plugin.ts'
import { blindTimePlugin } from './blind-time/plugin.ts'
import { channelsPlugin } from './channels/plugin.ts'
import { checksPlugin } from './checks/plugin.ts'
import { circuitBreakerRoutesPlugin, circuitBreakersPlugin } from './circuit-breakers/plugin.ts'
import type { Config } from './config/load.ts'
import { databasePlugin } from './database/plugin.ts'
import { detectorPlugin } from './detector/plugin.ts'
import { healthPlugin } from './health/plugin.ts'
import { healthMetricsPlugin } from './health-metrics/plugin.ts'
import { addressesPlugin } from './http/admission/addresses.ts'
import { clientAddressPlugin } from './http/admission/client-address.ts'
import { connectionsPlugin } from './http/admission/connections.ts'
import { crossOriginPlugin } from './http/admission/cross-origin.ts'
import { pressurePlugin } from './http/admission/pressure.ts'
import { rateLimitPlugin } from './http/admission/rate-limit.ts'
import { requirementsPlugin } from './http/admission/requirements.ts'
import { jsonBodyPlugin } from './http/body/json-body.ts'
import { readBodyPlugin } from './http/body/read-body.ts'
import { answerClientError, answerFailure, errorsPlugin } from './http/errors.ts'
import { requestIdOf, requestIdPlugin } from './http/request-id.ts'
import { requestLogPlugin } from './http/request-log.ts'
import { buildSerializer } from './http/schemas/serialisation.ts'
import { validationPlugin } from './http/schemas/validation.ts'
import { securityHeadersPlugin } from './http/security-headers.ts'
import { siteUrlPlugin } from './http/site-url.ts'
import { secretAddresses } from './ingest/dialects/all.ts'
import { ingestPlugin } from './ingest/plugin.ts'
import { deleteHeartbeats } from './ingest/store.ts'
import { lifecyclePlugin } from './lifecycle/plugin.ts'
import { checkLogFiles, loggerOptions } from './logging/logger.ts'
import { createLineCleaner } from './logging/redaction.ts'
import { metricsPlugin, metricsRoutePlugin } from './metrics/plugin.ts'
import { notificationsPlugin } from './notifications/plugin.ts'
import { deliveryQueue } from './notifications/queue/delivery-queue.ts'
import { openapiPlugin } from './openapi/plugin.ts'
import { projectMetricsPlugin } from './project-metrics/plugin.ts'
import { provisioningPlugin, readDeclared } from './provisioning/plugin.ts'
import { quotasPlugin } from './quotas/plugin.ts'
import { redisPlugin } from './redis/plugin.ts'
import { replicasPlugin } from './replicas/plugin.ts'
import { retentionPlugin } from './retention/plugin.ts'
import { serviceAlertsPlugin } from './service-alerts/plugin.ts'
import { recordMaxBytes } from './spool/records.ts'
import { telemetryPlugin } from './telemetry/plugin.ts'
import { loadTelemetry, type Telemetry } from './telemetry/service.ts'
import { walArchivePlugin } from './wal-archive/plugin.ts'

export type AppOptions = {
  config: Config
  stdoutIsTTY?: boolean
  /** Called with keys that were generated at this start and cannot be shown again. */
  announceKeys?: (keys: Partial<Keys>) => void | Promise<void>
  /** Begins the shutdown of the process. */
  shutdown?: () => void
  /** Called with the app before anything is registered. */
  observe?: (app: FastifyInstance) => void
}

/** How other modules cancel and delete what they store about a check. */
const aboutChecks = {
  cancelDeliveries: deliveryQueue.cancelOfCheck,
  deleteHistory: [deleteHeartbeats, deliveryQueue.deleteOfCheck],
}

/** How often the server checks for clients that send too slowly. */
const slowClientsEveryMs = 1000
const keepAliveProbeMs = 30_000

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { config, announceKeys = () => {}, shutdown = () => {} } = options
  checkLogFiles(config)
  const declared = await readDeclared(config)
  const telemetry = await loadTelemetry(config, () => createLineCleaner(config, secretAddresses))
  const app = createServer(options, telemetry)
  options.observe?.(app)
  await app.register(telemetryPlugin, { telemetry })
  await app.register(requirementsPlugin)
  await app.register(addressesPlugin)
  await app.register(crossOriginPlugin)
  await app.register(openapiPlugin, { siteUrl: config.server.siteUrl })
  await app.register(clientAddressPlugin)
  await app.register(requestIdPlugin)
  await app.register(errorsPlugin)
  await app.register(jsonBodyPlugin)
  await app.register(validationPlugin)
  await app.register(lifecyclePlugin)
  await app.register(securityHeadersPlugin, { siteUrl: config.server.siteUrl })
  await app.register(pressurePlugin, config.limits)
  await app.register(requestLogPlugin)
  await app.register(siteUrlPlugin, { siteUrl: config.server.siteUrl })
  await app.register(metricsPlugin, { config })
  await app.register(readBodyPlugin, {
    maxBytes: config.limits.bodiesMaxBytes,
    unknownCallersMaxBytes: Math.ceil(config.limits.bodiesMaxBytes / 8),
  })
  await app.register(connectionsPlugin, { max: config.server.maxConnections, reserved: openFilesNeeded(config) })
  await app.register(circuitBreakersPlugin, { config })
  await app.register(redisPlugin, { url: config.features.redisUrl })
  await app.register(rateLimitPlugin, { ...config.limits, adminCallsPerMinute: config.admin.callsPerMinute })
  await app.register(databasePlugin, { config })
  await app.register(auditPlugin, { config })
  const defaultKeys = declared?.find(({ name }) => name === 'default')?.keys ?? {}
  await app.register(authPlugin, { config, defaultKeys, announceKeys, cancelAlerts: deliveryQueue.cancelOfProject })
  await app.register(quotasPlugin, { config: config.quotas })
  await app.register(blindTimePlugin, { ...config.detector, maxStalenessMs: config.health.maxStalenessMs })
  await app.register(checksPlugin, aboutChecks)
  await app.register(ingestPlugin, { config })
  await app.register(replicasPlugin, { peerUrl: config.server.peerUrl, bodyLimitBytes: handoverMaxBytes(config.spool) })
  await app.register(detectorPlugin, { config: config.detector, slowPassMs: config.log.slowDetectorPassMs })
  await app.register(channelsPlugin, { config, queue: deliveryQueue })
  await app.register(notificationsPlugin, { config: config.alerting, slowDeliveryMs: config.log.slowDeliveryMs })
  await app.register(provisioningPlugin, { declared })
  await app.register(badgesPlugin, { label: config.features.badgeLabel })
  await app.register(projectMetricsPlugin)
  await app.register(healthPlugin, { config })
  await app.register(walArchivePlugin, { config })
  await app.register(healthMetricsPlugin, { config })
  await app.register(auditTrailPlugin)
  await app.register(retentionPlugin, config)
  await app.register(serviceAlertsPlugin, { config })
  await app.register(metricsRoutePlugin)
  await app.register(circuitBreakerRoutesPlugin)
  await app.register(adminPlugin, { shutdown })
  return app
}

function createServer({ config, stdoutIsTTY = false }: AppOptions, telemetry: Telemetry | null): FastifyInstance {
  const tap = telemetry && { onLine: telemetry.onLine, mixin: telemetry.traceFields }
  const app: FastifyInstance = Fastify({
    ...serverOptions(config.server),
    logger: loggerOptions(config, { stdoutIsTTY, secretAddresses, ...tap }),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => answerFailure(app, error, request, reply),
    genReqId: (request) => requestIdOf(request.headers),
  })
  return app
}

function serverOptions({ trustProxy, headersTimeoutMs, requestTimeoutMs, ...limits }: Config['server']) {
  return {
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    bodyLimit: limits.bodyLimitBytes,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // A request that still arrives on an open connection while the listener closes is served, and then that connection
    // ends.
    return503OnClosing: false,
    requestTimeout: requestTimeoutMs,
    schemaController: { compilersFactory: { buildSerializer } },
    http: {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: Math.min(headersTimeoutMs, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: slowClientsEveryMs,
      // Detects peers that are gone without closing the connection.
      keepAlive: true,
      keepAliveInitialDelay: keepAliveProbeMs,
    },
  }
}

/** Only a single large heartbeat makes a segment larger than its limit. */
function handoverMaxBytes({ segmentBytes }: Config['spool']): number {
  return segmentBytes + recordMaxBytes
}

/** Connections to the database and to destinations, and the files that Node, the log and a start keep open. */
function openFilesNeeded({ database, alerting }: Config): number {
  return database.poolMax + alerting.concurrency + 100
}
