// Traces, metrics and logs over OTLP, and errors to Sentry. Nothing of it is loaded unless a setting switches it on, and
// nothing here makes other work wait: queues are bounded, requests have a time limit, and what cannot be sent is dropped.

import { type Config, version } from '../config/load.ts'
import type { ErrorTracking } from './error-tracking.ts'
import type { OpenTelemetry } from './open-telemetry.ts'

/** The most that the end of the process waits for what has not been sent yet, in milliseconds. */
const flushMs = 2000

export type TelemetryLog = { warn(o: object, message: string): void }

export type Telemetry = NonNullable<Awaited<ReturnType<typeof loadTelemetry>>>

/** Null if nothing is switched on. `createCleaner` makes what removes secrets from a text. */
export async function loadTelemetry(config: Config, createCleaner: () => (text: string) => string) {
  const { telemetry: settings, environment } = config
  const about = { version, environment }
  const openTelemetry: OpenTelemetry | null =
    settings.endpoint === undefined || settings.disabled
      ? null
      : (await import('./open-telemetry.ts').catch(explain('OTEL_EXPORTER_OTLP_ENDPOINT'))).startOpenTelemetry(
          settings,
          settings.endpoint,
          { ...about, clean: createCleaner() },
        )
  const errors: ErrorTracking | null =
    settings.sentryDsn === undefined
      ? null
      : (await import('./error-tracking.ts').catch(explain('SENTRY_DSN'))).startErrorTracking(
          settings,
          settings.sentryDsn,
          about,
        )
  if (openTelemetry === null && errors === null) return null

  return {
    openTelemetry,

    /** Takes a finished line of the log, in which secrets are redacted. */
    onLine(line: string): void {
      openTelemetry?.log?.(line)
      errors?.log(line)
    },

    /** The fields with which a log line names the active span. */
    traceFields: (): object => openTelemetry?.tracing?.fields() ?? {},

    /** Sends what waits. Never rejects, and ends in time whatever the receivers do. */
    async close(): Promise<void> {
      const late = new Promise<void>((resolve) => setTimeout(resolve, flushMs).unref())
      await Promise.race([late, Promise.allSettled([openTelemetry?.close(), errors?.close(flushMs)])])
    },
  }
}

/** An installation by npm has these packages only if they were asked for: they would be a sixth of its size. */
function explain(setting: string): (error: Error & { code?: string }) => never {
  return (error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    const [name = 'a package'] = /(?<=')@[^']+(?=')/.exec(error.message) ?? []
    throw new Error(`${setting} needs ${name}, which is not installed: docs/telemetry.md says which packages`)
  }
}
