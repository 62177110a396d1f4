import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { dataDirMode } from '../config/data-dir.ts'
import type { Config } from '../config/load.ts'
import { signalKinds } from '../core/heartbeat.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { createLoop, type Loop } from '../kit/loop.ts'
import { openSpool } from '../spool/spool.ts'
import { dialects } from './dialects/all.ts'
import { bulkRoutes } from './dialects/bulk-routes.ts'
import { createMailRecipients } from './dialects/email/mail-recipients.ts'
import type { MailListener } from './dialects/email/smtp-server.ts'
import { type MountOptions, mount } from './dialects/mount.ts'
import { createAdoption } from './failover/adoption.ts'
import { quarantineRoutes } from './failover/quarantine-routes.ts'
import type { SpoolFailover } from './failover/spool-failover.ts'
import { type Bodies, type BodyQuota, createBodies } from './history/bodies.ts'
import { createHistory } from './history/history.ts'
import { historyRoutes } from './history/history-routes.ts'
import { ensurePartitions, ensurePartitionsAt } from './history/partitions.ts'
import { createSettling } from './history/settling.ts'
import { createHeartbeats, type Heartbeats } from './service.ts'
import { pingKinds } from './signal.ts'
import { withDeadline } from './with-deadline.ts'

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
/** The limit of the look-up of a key's owner while heartbeats are spooled anyway. */
const spoolingLookupMs = 250

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
    const heartbeats = createHeartbeats({
      spool,
      bodies,
      spoolOwners: spoolOwnersOf(app),
      ownersOfKeys: app.projects.ownersOfKeys,
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
      observeBatch: (entries, seconds) => {
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
      // No check may be judged down before the spools of processes that are gone are known.
      if (heartbeats.failover) await app.blindTime.forget(await heartbeats.failover.maintain())
      for (const loop of loops) loop.start()
    })
    const mail = await openMailListener(app, config)
    app.addHook('onClose', async () => {
      await mail?.close()
      await Promise.all(loops.map((loop) => loop.stop()))
      await heartbeats.flush()
    })

    await app.register(bulkRoutes, {
      heartbeats,
      early: spool !== null,
      bodyLimitBytes: config.ingest.pingBodyLimitBytes,
      now: database.clock.now,
    })
    const mounted: MountOptions = {
      heartbeats,
      ownerOf: ownerOf(app.projects, heartbeats.failover, config.ingest.divertAfterMs),
      checks,
      bodyLimitBytes: config.ingest.pingBodyLimitBytes,
      receivingMaxBytes: config.ingest.queueMaxBytes,
    }
    for (const dialect of dialects) await app.register(async (inner) => mount(inner, dialect, mounted))
    await app.register(quarantineRoutes, { quarantine: heartbeats.quarantine })
    await app.register(historyRoutes, { history: createHistory({ database, siteUrl: app.siteUrl }), checks })
  },
  { name: 'heartbeats', dependencies: ['auth', 'quotas', 'checks', 'blind-time', 'metrics', 'openapi', 'site-url'] },
)

/** Its libraries are loaded only where the mail listener is switched on. */
async function openMailListener(app: FastifyInstance, config: Config): Promise<MailListener | undefined> {
  const { features, ingest, limits, server } = config
  const { smtpPort } = features
  if (smtpPort === undefined) return undefined
  const { createMailListener } = await import('./dialects/email/smtp-server.ts')
  const listener = createMailListener({
    heartbeats: app.heartbeats,
    recipients: createMailRecipients({
      projectOf: app.projects.projectOfMailbox,
      locate: app.checks.locate,
      mailFilters: app.checks.mailFilters,
      canWait: ingest.mode === 'available',
    }),
    accepting: () => app.lifecycle.phase !== 'starting',
    domain: features.pingEmailDomain,
    keptBytes: ingest.mailLimitBytes,
    messageMaxBytes: limits.mailMaxBytes,
    heldMaxBytes: limits.mailHeldMaxBytes,
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
    await failover.lookUpProjects().catch(unlessAway)
    return false
  }
  return [
    createLoop({ name: 'replay', intervalMs: replayIntervalMs, log, step: failover.replay }),
    createLoop({ name: 'spool', intervalMs: tendIntervalMs, log, step }),
  ]
}

/** The hash of a key takes the place of its owner while the owner cannot be looked up, or not soon enough. */
function ownerOf(
  projects: FastifyInstance['projects'],
  failover: SpoolFailover | null,
  divertAfterMs: number,
): MountOptions['ownerOf'] {
  return async (pingKey) => {
    const asked = projects.authenticate(pingKey)
    try {
      const owner = await (failover ? withDeadline(asked, failover.active ? spoolingLookupMs : divertAfterMs) : asked)
      return owner?.kind === 'ping_key' ? { id: owner.projectId } : null
    } catch (error) {
      if (failover && isDatabaseAway(error)) return { keyHash: projects.hashOf(pingKey), kinds: pingKinds }
      throw error
    }
  }
}

function unlessAway(error: unknown): void {
  if (!isDatabaseAway(error)) throw error
}
