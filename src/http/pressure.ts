import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'

export type PressureOptions = { maxEventLoopDelayMs: number; maxEventLoopUtilization: number; maxRssBytes: number }

/** Spread into the config of probes, metrics and heartbeat routes: these answer under overload too. */
export const unshed = { pressureHandler: () => undefined }

/** Sheds management calls under overload. It never looks at the database, whose outage is no reason to restart a process. */
export const pressurePlugin = fp<PressureOptions>(
  async (app, options) => {
    await app.register(underPressure, {
      maxEventLoopDelay: options.maxEventLoopDelayMs,
      maxEventLoopUtilization: options.maxEventLoopUtilization,
      // Counted since the last sample: the default, counted since the start, never notices a late overload.
      eventLoopUtilizationMode: 'interval',
      maxRssBytes: options.maxRssBytes,
      message: 'Flatline is overloaded, try again shortly',
    })
  },
  { name: 'http-pressure', dependencies: ['http-errors'] },
)
