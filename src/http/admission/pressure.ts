import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { AppError } from '../../core/errors.ts'
import { isOperatorOnly } from '../../core/permissions.ts'

export type PressureOptions = { maxEventLoopDelayMs: number; maxEventLoopUtilization: number; maxRssBytes: number }

/** Spread into the config of probes, metrics and heartbeat routes: they answer under overload too. */
export const neverShed = { pressureHandler: () => undefined }

const sampleMs = 1000

/**
 * Sheds management calls under overload. It never asks the database, whose outage is no reason to restart a process.
 */
export const pressurePlugin = fp<PressureOptions>(
  async (app, options) => {
    let since = 0
    let latest = 0

    /**
     * One bad sample may be a start, a long garbage collection or a paused machine; the second in a row is overload.
     */
    function lasts(now: number): boolean {
      if (now - latest > 2 * sampleMs) since = now
      latest = now
      return now - since > sampleMs
    }

    // The operator is needed most under overload.
    app.addHook('onRoute', (route) => {
      const { config } = route
      if (config?.requires && isOperatorOnly(config.requires)) Object.assign(config, neverShed)
    })
    await app.register(underPressure, {
      maxEventLoopDelay: options.maxEventLoopDelayMs,
      maxEventLoopUtilization: options.maxEventLoopUtilization,
      // Counted since the last sample: the default, counted since the start, never detects a late overload.
      eventLoopUtilizationMode: 'interval',
      maxRssBytes: options.maxRssBytes,
      sampleInterval: sampleMs,
      pressureHandler: async () => {
        if (!lasts(performance.now())) return
        throw new AppError('unavailable', 'Flatline is overloaded, try again shortly', { retryAfterS: 10 })
      },
    })
  },
  { name: 'http-pressure', dependencies: ['http-errors'] },
)
