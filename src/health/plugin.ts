import fp from 'fastify-plugin'
import { type Config, version } from '../config.ts'
import { databaseCheck, detectorCheck, encryptionCheck, processCheck } from './checks.ts'
import { healthRoutes } from './routes.ts'
import { createHealth } from './service.ts'

export const healthPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { clock } = app.database
    const health = createHealth({ monotonic: clock.monotonic })
    health.register(databaseCheck(app.database))
    health.register(processCheck(app.memoryUsage))
    health.register(encryptionCheck(app.alerting.testEncryption))
    health.register(detectorCheck(app.detector.lastRun, clock.now))
    // What was found while the database was not open yet must not outlast the start.
    app.lifecycle.onStart('health', async () => health.forget())
    await app.register(healthRoutes, {
      health,
      phase: () => app.lifecycle.phase,
      needed: ['database'],
      about: { version, environment: config.environment },
    })
  },
  { name: 'health', dependencies: ['database', 'detector', 'alerting', 'http-pressure'] },
)
