import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'
import { createTiming } from '../logging/timing.ts'
import { createDetector } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** When the detector last finished a run, and when its loop started, in epoch milliseconds; 0 if never. */
    detector: { lastRun: () => number; startedAt: () => number }
  }
}

export const detectorPlugin = fp<{ config: Config['detector']; slowPassMs: number }>(
  async (app, { config, slowPassMs }) => {
    const { blindTime, checks, database, log } = app
    const metrics = app.domainMetrics
    const detect = createDetector({
      checks,
      clock: database.clock,
      windows: blindTime.windows,
      isCurrent: blindTime.isCurrent,
      watermark: blindTime.watermark,
      refreshWatermark: blindTime.refreshWatermark,
      batchMax: config.batchMax,
      oldestWaiting: app.heartbeats.oldestWaiting,
      log,
      observeLateness: (seconds) => metrics.detectorLateness.observe(seconds),
    })
    const timing = createTiming({ log, event: 'detector.pass', message: 'due checks evaluated', slowMs: slowPassMs })
    let lastRun = 0
    let startedAt = 0
    app.decorate('detector', { lastRun: () => lastRun, startedAt: () => startedAt })
    const record = createLoop({
      name: 'acceptance',
      intervalMs: config.acceptanceIntervalMs,
      log,
      step: async () => {
        if (app.heartbeats.isTaking()) await blindTime.record()
        else await blindTime.reportOnly()
        return false
      },
    })
    const detection = createLoop({
      name: 'detector',
      intervalMs: config.intervalMs,
      log,
      step: async () => {
        const observed = metrics.detectorSeconds.startTimer()
        let due: number | null = null
        let more = false
        let evaluated = false
        try {
          ;({ evaluated, due, more } = await detect())
        } finally {
          timing(observed() * 1000, { success: due !== null, items: due ?? 0 })
        }
        if (evaluated) lastRun = database.clock.now()
        metrics.detectorRun.set(lastRun / 1000)
        return more
      },
    })
    // Last of the start steps that heartbeats need: the gap since the last process ends when this process accepts
    // heartbeats.
    app.lifecycle.onStart('detector', async () => {
      await blindTime.record()
      record.start()
      startedAt = database.clock.now()
      detection.start()
    })
    // Before the listener closes: silence is not detected while no heartbeat could end it.
    app.addHook('preClose', async () => {
      await detection.stop()
      await record.stop()
      // Until here heartbeats were accepted. Without this record the blind window would begin up to one interval early.
      if (lastRun > 0) await blindTime.record().catch(() => undefined)
    })
  },
  { name: 'detector', dependencies: ['heartbeats', 'blind-time', 'metrics'] },
)
