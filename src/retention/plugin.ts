import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { createLoop } from '../kit/loop.ts'
import { createRetention } from './service.ts'

const intervalMs = 3_600_000

export const retentionPlugin = fp<{ retention: Config['retention'] }>(
  async (app, { retention: kept }) => {
    const { database, domainMetrics, log } = app
    const retention = createRetention({
      database,
      days: {
        heartbeats: kept.heartbeatsDays,
        flips: kept.flipsDays,
        deliveries: kept.deliveriesDays,
        audit: kept.auditDays,
        health_metrics: kept.healthMetricsDays,
        quarantined_heartbeats: kept.quarantineDays,
        blind_windows: kept.blindWindowsDays,
        heartbeat_keys: kept.heartbeatKeysDays,
      },
      count: (table, n) => domainMetrics.retentionRemoved.inc({ table }, n),
      log,
    })
    const loop = createLoop({
      name: 'retention',
      intervalMs,
      log,
      step: async (signal) => {
        await retention.sweep(signal)
        return false
      },
    })
    app.lifecycle.onStart('retention', async () => loop.start())
    app.addHook('onClose', () => loop.stop())
  },
  { name: 'retention', dependencies: ['database', 'metrics', 'lifecycle'] },
)
