import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { dataDirMode } from '../config/data-dir.ts'
import type { Config } from '../config/load.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { createLoop, type Loop } from '../kit/loop.ts'
import { createTiming } from '../logging/timing.ts'
import { openSpool } from '../spool/spool.ts'
import { dialects } from './dialects/all.ts'
import { mount } from './dialects/mount/mount.ts'
import { createAdoption } from './failover/adoption.ts'
import { quarantineRoutes } from './failover/quarantine-routes.ts'
import type { SpoolFailover } from './failover/spool-failover.ts'
import { type Bodies, type BodyQuota, createBodies } from './history/bodies.ts'
import { createHistory } from './history/history.ts'
import { historyRoutes } from './history/history-routes.ts'
import { ensurePartitions, ensurePartitionsAt } from './history/partitions.ts'
import { createSettling } from './history/settling.ts'
import { createHeartbeats, type Heartbeats } from './service.ts'
import { createVerifier, type Verifier } from './signing/verifier.ts'

declare module 'fastify' {
  interface FastifyInstance {
    heartbeats: Heartbeats
  }
}

const partitionsIntervalMs = 600_000
const trimIntervalMs = 1000
const replayIntervalMs = 250
const tendIntervalMs = 5000
const settlingIntervalMs = 250

export const ingestPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { database, checks } = app
    const metrics = app.domainMetrics
    const spool =
      config.ingest.mode === 'available'
        ? await openSpool({
            root: join(config.server.dataDir, 'spool'),
            parentMode: dataDirMode,
            limits: config.spool,
            log: app.log,
          })
        : null
    const { bodies, loop: trimming } = boundedBodies(app)
    const timing = createTiming({
      log: app.log,
      event: 'batch.written',
      message: 'batch of heartbeats written',
      slowMs: config.log.slowBatchMs,
    })
    const heartbeats = createHeartbeats({
      spool,
      bodies,
      spoolOwners: spoolOwnersOf(app),
      ownersOfKeys: app.projects.ownersOfKeys,
      verify: verifierOf(app),
      writeAudit: app.audit.write,
      quarantineMaxEntries: config.spool.quarantineMaxEntries,
      database,
      checks,
      windows: app.blindTime.windows,
      isCurrent: app.blindTime.isCurrent,
      watermark: app.blindTime.watermark,
      onRefused: app.blindTime.refused,
      onClosed: app.blindTime.closedSince,
      limits: config.ingest,
      count: (kind, outcome, projectId, n) =>
        metrics.heartbeatsReceived.inc({ kind, outcome, tenant: metrics.tenant(projectId) }, n),
      makePartitions: (instants) => ensurePartitionsAt(database, instants),
      log: app.log,
      traced: app.tracing?.commit ?? ((_, write) => write()),
      observeBatch: (entries, seconds, written) => {
        timing(seconds * 1000, { success: written, items: entries })
        if (!written) return
        metrics.batchEntries.observe(entries)
        metrics.batchSeconds.observe(seconds)
      },
    })
    app.decorate('heartbeats', heartbeats)
    for (const kind of signalKinds) metrics.heartbeatsReceived.inc({ kind, outcome: 'refused', tenant: '' }, 0)
    metrics.observe('quarantined_heartbeats', () => [{ value: heartbeats.quarantine.entries() }])
    metrics.observe('queue_length', () => [{ value: heartbeats.queueLength(), labels: { queue: 'heartbeats' } }])

    const loops = [trimming, ...backgroundLoops(app, heartbeats, config.ingest.partitionsAheadDays)]
    app.lifecycle.onStart('heartbeats', async () => {
      await ensurePartitions(database, config.ingest.partitionsAheadDays)
      // No check may go down before the spools of processes that are gone are known.
      if (heartbeats.failover) await app.blindTime.forget(await heartbeats.failover.maintain())
      for (const loop of loops) loop.start()
    })
    app.addHook('onClose', async () => {
      await Promise.all(loops.map((loop) => loop.stop()))
      await heartbeats.flush()
    })

    // After the hook above: what is registered later is closed first, and a listener gives its last heartbeats to the queue.
    for (const dialect of dialects) await app.register(mount, { dialect, config })
    await app.register(quarantineRoutes, { quarantine: heartbeats.quarantine })
    await app.register(historyRoutes, { history: createHistory({ database, siteUrl: app.siteUrl }), checks })
  },
  { name: 'heartbeats', dependencies: ['auth', 'quotas', 'checks', 'blind-time', 'metrics', 'openapi', 'site-url'] },
)

function backgroundLoops(app: FastifyInstance, heartbeats: Heartbeats, partitionsAheadDays: number): Loop[] {
  const { database, checks, blindTime, log } = app
  const { failover, quarantine, oldestWaiting } = heartbeats
  const { windows, isCurrent, watermark } = blindTime
  const settle = createSettling({ database, checks, windows, isCurrent, watermark, oldestWaiting, log })
  const partition = async () => {
    await ensurePartitions(database, partitionsAheadDays)
    return false
  }
  const retry = async () => {
    await quarantine.retryDue()
    return false
  }
  return [
    createLoop({ name: 'partitions', intervalMs: partitionsIntervalMs, log, step: partition }),
    createLoop({ name: 'settling', intervalMs: settlingIntervalMs, log, step: settle }),
    createLoop({ name: 'quarantine', intervalMs: tendIntervalMs, log, step: retry }),
    ...(failover ? spoolLoops(app, failover) : []),
  ]
}

/** The keys that decrypt belong to a module that is registered later. */
function verifierOf(app: FastifyInstance): Verifier {
  return createVerifier({
    secretsOf: (checkId, encrypted) => app.checks.signing.secretsOf(checkId, encrypted),
    sitePath: () => new URL(app.siteUrl()).pathname.replace(/\/$/, ''),
    now: app.database.clock.now,
    log: app.log,
  })
}

function boundedBodies(app: FastifyInstance): { bodies: Bodies; loop: Loop } {
  const { database, quotas, log } = app
  const { bodiesDropped } = app.domainMetrics
  for (const quota of ['check', 'project']) bodiesDropped.inc({ quota }, 0)
  const count = (quota: BodyQuota, n: number) => bodiesDropped.inc({ quota }, n)
  const bodies = createBodies({ database, quotas, count, onFull: () => loop.wake() })
  const step = async (signal: AbortSignal) => {
    await bodies.step(signal)
    return false
  }
  const loop = createLoop({ name: 'bodies', intervalMs: trimIntervalMs, log, step })
  return { bodies, loop }
}

function spoolOwnersOf({ quotas, projects }: FastifyInstance) {
  return {
    shareOf: (projectId: string) => quotas.lastKnown(projectId).spool_share,
    projectOfKey: projects.lastKnownOwner,
  }
}

function spoolLoops(app: FastifyInstance, failover: SpoolFailover): Loop[] {
  const { blindTime, domainMetrics: metrics, log } = app
  metrics.observe('spool_bytes', () => [{ value: failover.backlog().bytes }])
  metrics.observe('spool_replay_stalled_seconds', () => [{ value: failover.stalledMs() / 1000 }])
  metrics.observe('spool_records', () => [{ value: failover.backlog().records }])
  const adopt = createAdoption({ adopt: failover.maintain, record: blindTime.record, forget: blindTime.forget })
  const step = async () => {
    await adopt()
    await failover.lookUpProjects().catch(ignoreUnavailable)
    return false
  }
  return [
    createLoop({ name: 'replay', intervalMs: replayIntervalMs, log, step: failover.replay }),
    createLoop({ name: 'spool', intervalMs: tendIntervalMs, log, step }),
  ]
}

function ignoreUnavailable(error: unknown): void {
  if (!isDatabaseAway(error)) throw error
}
