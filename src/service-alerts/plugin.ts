import { hostname } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { cpuLimitCores } from '../health/limits.ts'
import type { Health } from '../health/service.ts'
import { createLoop } from '../kit/loop.ts'
import { serviceAlertRoutes } from './routes.ts'
import type { Measurements, Targets } from './rules.ts'
import { createServiceAlerts } from './service.ts'
import { type Counters, createTrend } from './trend.ts'

const unwatched =
  'nobody is alerted about problems of Flatline itself: neither SERVICE_ALERT_CHANNELS nor SELF_HEARTBEAT_URL is set'

export const serviceAlertsPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, channels, notifications, health, serviceLevel, circuitBreakers, heartbeats, log } = app
    const { serviceChannels: channelIds, serviceLookMs, serviceCalmMs } = config.alerting
    const { selfHeartbeatUrl: url, selfHeartbeatMs } = config.features
    const { clock } = database
    let unreachable = 0
    /** Values from before the database went away: the other rules must be evaluated nevertheless. */
    const countUnreachable = async () => {
      unreachable = await channels.unreachableProjects().catch(() => unreachable)
      return unreachable
    }
    const trend = createTrend()
    const serviceAlerts = createServiceAlerts({
      database,
      node: hostname().slice(0, 100),
      calmMs: serviceCalmMs,
      targets: targetsOf(config),
      read: async () => ({
        // Whole minutes, so that the current minute counts together with the previous one.
        minute: serviceLevel.level(2),
        twoMinutes: serviceLevel.level(3),
        fiveMinutes: serviceLevel.level(5),
        hour: serviceLevel.level(60),
        openBreakers: [
          ...new Set(circuitBreakers.states().flatMap(({ kind, state }) => (state === 'closed' ? [] : [kind]))),
        ].sort(),
        stalenessMs: Math.max(0, clock.now() - (heartbeats.oldestWaiting() ?? clock.now())),
        unreachableProjects: await countUnreachable(),
        ...(await readHealth(health)),
        trend: trend(await readCounters(app)),
      }),
      notify: (tx, notice) => notifications.notify(tx, { ...notice, channelIds: operatorsOf(app, channelIds) }),
      log,
      now: clock.now,
    })
    const lookAgain = exceptFirst(serviceAlerts.look)
    const look = createLoop({
      name: 'service-alerts',
      intervalMs: serviceLookMs,
      log,
      step: () => lookAgain().then(() => false),
    })
    const isUp = async () => (await health.report()).status !== 'unhealthy'
    const selfHeartbeat = createLoop({
      name: 'self-heartbeat',
      intervalMs: selfHeartbeatMs,
      log,
      step: async (signal) => {
        if (url !== undefined) await sendOwnHeartbeat({ url, isUp, signal, log })
        return false
      },
    })
    app.lifecycle.onStart('service-alerts', async () => {
      const missing = await channels.missingOf(channelIds)
      if (missing.length > 0) throw new Error(`SERVICE_ALERT_CHANNELS: no channel has the id ${missing.join(', ')}`)
      const isWatched = operatorsOf(app, channelIds).length > 0 || url !== undefined
      if (config.environment === 'production' && !isWatched) log.warn({ event: 'service.unwatched' }, unwatched)
      look.start()
      if (url !== undefined) selfHeartbeat.start()
    })
    app.addHook('onClose', async () => {
      await Promise.all([look.stop(), selfHeartbeat.stop()])
    })
    await app.register(serviceAlertRoutes, { serviceAlerts })
  },
  {
    name: 'service-alerts',
    dependencies: [
      'database',
      'channels',
      'notifications',
      'provisioning',
      'health',
      'metrics',
      'circuit-breakers',
      'lifecycle',
      'auth',
    ],
  },
)

function targetsOf({ alerting, health }: Config): Targets {
  const { memoryWarnPercent, memoryDegradedPercent, maxStalenessMs } = health
  return {
    availability: alerting.serviceAvailability,
    latencyP95Ms: alerting.serviceLatencyMs,
    ...{ maxStalenessMs, memoryWarnPercent, memoryDegradedPercent },
    heapLimitBytes: getHeapStatistics().heap_size_limit,
    cpuLimitCores: Math.min(1, cpuLimitCores()),
  }
}

/** The first call does nothing, because the cost of the start says nothing about later load. */
function exceptFirst(work: () => Promise<void>): () => Promise<void> {
  let isFirst = true
  return async () => {
    if (!isFirst) await work()
    isFirst = false
  }
}

/** A channel that a variable of the environment declares is the operator's. */
function operatorsOf(app: FastifyInstance, configured: readonly string[]): readonly string[] {
  return configured.length > 0 ? configured : app.shortcutChannels()
}

async function readHealth(health: Health): Promise<Pick<Measurements, 'health' | 'unhealthyChecks' | 'memoryPercent'>> {
  const { status, checks } = await health.report()
  const unhealthyChecks = Object.entries(checks).filter(
    ([, check]) => check.status === 'degraded' || check.status === 'unhealthy',
  )
  const percentage = checks.memory?.percentage
  return {
    health: status,
    unhealthyChecks: unhealthyChecks.map(([name]) => name),
    memoryPercent: typeof percentage === 'number' ? percentage : null,
  }
}

async function readCounters({ database, domainMetrics }: FastifyInstance): Promise<Counters> {
  const { user, system } = process.cpuUsage()
  const total = async (name: string) => (await domainMetrics.read([name])).reduce((sum, { value }) => sum + value, 0)
  return {
    at: database.clock.monotonic(),
    cpuMicros: user + system,
    heapUsedBytes: getHeapStatistics().used_heap_size,
    databaseAttempts: await total('db_connection_attempts_total'),
    databaseFailures: await total('db_connection_failures_total'),
    waiting: database.poolState()?.waiting ?? 0,
  }
}

/**
 * The service's own heartbeat to an external monitor, as long as the service is healthy. The monitor alerts on silence,
 * so a failed heartbeat is not retried.
 */
async function sendOwnHeartbeat(options: {
  url: string
  isUp: () => Promise<boolean>
  signal: AbortSignal
  log: { warn(o: object, message: string): void }
}): Promise<void> {
  const { url, isUp, signal, log } = options
  if (!(await isUp())) return
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) })
    await response.body?.cancel()
    if (!response.ok) log.warn({ event: 'self.heartbeat_refused', status: response.status }, 'own heartbeat refused')
  } catch (error) {
    if (signal.aborted) return
    const { code } = ((error as Error).cause ?? error) as { code?: string }
    log.warn({ event: 'self.heartbeat_refused', reason: code ?? (error as Error).name }, 'own heartbeat not delivered')
  }
}
