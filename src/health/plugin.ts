import { hostname } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type Config, version } from '../config/load.ts'
import { createAddressList } from '../http/admission/address-list.ts'
import { isInternal } from '../http/admission/internal.ts'
import * as checks from './checks.ts'
import { cpuLimitCores, memoryLimitBytes } from './limits.ts'
import { createOverload } from './overload.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { healthRoutes, statusRoutes } from './routes.ts'
import { createHealth, type Health, type HealthCheck, type HealthReport, type HealthStatus } from './service.ts'
import { pingDatabase } from './store.ts'
import { diskUsage, processCounts } from './usage.ts'

declare module 'fastify' {
  interface FastifyInstance {
    health: Health
  }
}

const sampleMs = 1000

export const healthPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, heartbeats, detector, lifecycle, domainMetrics: metrics } = app
    const { health: limits, environment } = config
    const { clock } = database
    const { monotonic } = clock
    const stalenessMs = () => Math.max(0, clock.now() - (heartbeats.oldestUnrecorded() ?? clock.now()))
    const limitBytes = memoryLimitBytes()

    const health = createHealth({ monotonic })
    app.decorate('health', health)
    const overload = createOverload({ load: app.memoryUsage, isStarted: () => lifecycle.phase === 'ready' })
    const sampling = setInterval(overload.sample, sampleMs).unref()
    app.addHook('onClose', async () => clearInterval(sampling))
    const figures = { stalenessMs, limitBytes, isOverloaded: overload.isLasting }
    for (const check of createChecks(app, config, figures)) health.register(check)
    if (app.redis) health.register(checks.redisCheck(app.redis.ping))

    const readiness = createReadiness({
      health,
      phase: () => lifecycle.phase,
      isMigrated: () => lifecycle.wasReady,
      needed: ['database'],
      shown: ['memory', 'disk', 'circuit_breakers', 'redis'],
      isStalled: () => heartbeats.failover?.isStalled() ?? false,
    })
    observeHealth(app, health, readiness, { stalenessMs, maxStalenessMs: limits.maxStalenessMs, limitBytes })
    app.domainMetrics.observe('replicas_expected', () => [{ value: limits.replicasExpected }])
    // Results from before the database was open must not outlast the start.
    lifecycle.onStart('health', async () => health.forget())

    await app.register(statusRoutes, { ping: () => pingDatabase(database) })
    const { detailAllowlist } = limits
    await app.register(healthRoutes, {
      health,
      phase: () => lifecycle.phase,
      readiness,
      about: { version, environment },
      seesDetails: detailsFor(detailAllowlist, environment),
      figures: async () => ({
        heartbeatsProcessed: (await metrics.read(['heartbeats_received_total']))
          .filter(({ labels }) => labels.outcome === 'recorded')
          .reduce((sum, { value }) => sum + value, 0),
        lastRun: detector.lastRun(),
        dataStalenessMs: stalenessMs(),
        maxStalenessMs: limits.maxStalenessMs,
        blindWindows: app.blindTime.windows(),
      }),
    })
  },
  {
    name: 'health',
    dependencies: ['database', 'detector', 'channels', 'http-pressure', 'auth', 'circuit-breakers', 'redis'],
  },
)

function createChecks(
  app: FastifyInstance,
  config: Config,
  figures: { stalenessMs: () => number; limitBytes: number; isOverloaded: () => boolean },
): HealthCheck[] {
  const { database, heartbeats, detector } = app
  const { health: limits, environment, server } = config
  const { isOverloaded } = figures
  const { now, monotonic } = database.clock
  return [
    checks.databaseCheck({
      ping: () => pingDatabase(database),
      pool: database.poolState,
      monotonic,
      degradedMs: limits.databaseDegradedMs,
      isHanging: database.isHanging,
      canSpool: () => heartbeats.failover?.hasRoom() ?? false,
    }),
    checks.memoryCheck({
      rss: process.memoryUsage.rss,
      limitBytes: figures.limitBytes,
      warnPercent: limits.memoryWarnPercent,
      degradedPercent: limits.memoryDegradedPercent,
    }),
    checks.diskCheck(() => diskUsage(server.dataDir), limits.diskDegradedPercent),
    checks.processCheck({ load: app.memoryUsage, isOverloaded, cpuMicros, counts: () => processCounts(), monotonic }),
    checks.cacheCheck({ stats: app.projects.cacheStats, minHitRatio: limits.cacheMinHitRatio, monotonic }),
    checks.circuitBreakersCheck(app.circuitBreakers.states),
    checks.encryptionCheck(app.channels.testEncryption, environment),
    checks.spoolCheck({
      queued: heartbeats.queueLength,
      spool: heartbeats.failover,
      quarantined: heartbeats.quarantine.entries,
      stalenessMs: figures.stalenessMs,
      maxStalenessMs: limits.maxStalenessMs,
    }),
    checks.detectorCheck({ ...detector, now, degradedMs: limits.detectorDegradedMs }),
  ]
}

function detailsFor(allowlist: readonly string[], environment: string): (request: FastifyRequest) => boolean {
  if (allowlist.length === 0) return environment === 'production' ? isInternal : () => true
  const isAllowed = createAddressList(allowlist)
  return ({ clientAddress }) => isAllowed(clientAddress)
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

const statusNumbers: Record<HealthStatus, number> = { healthy: 0, degraded: 1, unhealthy: 2, unknown: 3 }

function observeHealth(
  app: FastifyInstance,
  health: Health,
  readiness: () => Promise<Readiness>,
  figures: { stalenessMs: () => number; maxStalenessMs: number; limitBytes: number },
): void {
  const { observe } = app.domainMetrics
  const node = hostname()
  const cores = cpuLimitCores()
  const each = (value: (finding: HealthReport['checks'][string]) => number) => async () =>
    Object.entries((await health.report()).checks).map(([check, finding]) => ({
      value: value(finding),
      labels: { check },
    }))
  observe(
    'health_check_status',
    each(({ status }) => statusNumbers[status]),
  )
  observe(
    'health_check_duration_seconds',
    each(({ responseTime }) => responseTime / 1000),
  )
  observe('health_status', async () => [{ value: statusNumbers[(await health.report()).status] }])
  observe('app_ready', async () => [{ value: Number((await readiness()).ready) }])
  observe('app_started', () => [{ value: Number(app.lifecycle.phase === 'ready') }])
  observe('shutdown_phase', () => [{ value: Number(app.lifecycle.phase === 'draining') }])
  observe('data_staleness_ms', () => [{ value: figures.stalenessMs(), labels: { node } }])
  observe('data_staleness_seconds', () => [{ value: figures.stalenessMs() / 1000, labels: { node } }])
  observe('max_staleness_ms', () => [{ value: figures.maxStalenessMs }])
  const heapLimitBytes = getHeapStatistics().heap_size_limit
  observe('heap_limit_bytes', () => [{ value: heapLimitBytes }])
  observe('container_memory_limit_bytes', () => [{ value: figures.limitBytes }])
  observe('cpu_limit_cores', () => [{ value: cores }])
}
