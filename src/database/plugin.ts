import fp from 'fastify-plugin'
import type { Config } from '../config/load.ts'
import { failureReasons } from '../core/failure-reason.ts'
import { createLoop } from '../kit/loop.ts'
import { readMigrations } from './migrate.ts'
import { createDatabase, type Database } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    database: Database
  }
}

/**
 * Also the longest time for which the clock may be wrong after the machine slept, which the monotonic clock does not
 * count.
 */
const clockIntervalMs = 2000

export const databasePlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const log = app.log
    const metrics = app.domainMetrics
    const database = createDatabase({
      config,
      log,
      migrations: readMigrations(),
      metrics: {
        statement(statement, seconds) {
          metrics.databaseSeconds.observe({ statement }, seconds)
          app.tracing?.statement(statement, seconds)
        },
        attempt: () => metrics.databaseAttempts.inc(),
        failure: (reason) => metrics.databaseFailures.inc({ reason }),
      },
      breaker: app.circuitBreakers.get('database', 'database'),
    })
    for (const reason of failureReasons) metrics.databaseFailures.inc({ reason }, 0)
    for (const state of ['active', 'idle', 'waiting', 'max'] as const)
      metrics.observe(`database_connections_${state}`, () => [{ value: database.poolState()?.[state] ?? 0 }])
    app.decorate('database', database)

    const clock = createLoop({
      name: 'clock',
      intervalMs: clockIntervalMs,
      log,
      step: async () => {
        await database.synchronise()
        return false
      },
    })
    app.lifecycle.onStart('database', async (signal) => {
      await database.open(signal)
      if (!signal.aborted) clock.start()
    })
    app.addHook('onClose', async () => {
      await clock.stop()
      await database.close()
    })
  },
  { name: 'database', dependencies: ['lifecycle', 'metrics', 'circuit-breakers'] },
)
