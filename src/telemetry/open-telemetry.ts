// The parts of the OpenTelemetry SDK that send over OTLP. Every option is passed explicitly, because only config/ reads
// the environment.

import { hostname } from 'node:os'
import { context, DiagLogLevel, diag, propagation } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Config } from '../config/load.ts'
import { cleanedExporter } from './clean-spans.ts'
import { batchMax, createExporters } from './exporters.ts'
import { createLineExport } from './lines.ts'
import { createMetricsExport, type PromRegistry } from './metrics.ts'
import { parsePairs } from './pairs.ts'
import { createSpanIds, samplerOf } from './sampling.ts'
import type { TelemetryLog } from './service.ts'
import { createTracing } from './tracing.ts'

type TelemetrySettings = Config['telemetry']

export type OpenTelemetry = ReturnType<typeof startOpenTelemetry>

const failureLineEveryMs = 60_000

export function startOpenTelemetry(
  settings: TelemetrySettings,
  endpoint: string,
  about: { version: string; environment: string; clean: (text: string) => string },
) {
  const resource = resourceOf(settings, about)
  const exporters = createExporters(settings, endpoint)
  const batching = {
    maxQueueSize: settings.queueMax,
    scheduledDelayMillis: settings.delayMs,
    maxExportBatchSize: Math.min(batchMax, settings.queueMax),
    exportTimeoutMillis: settings.timeoutMs + 1000,
  }
  const spans = () =>
    new BatchSpanProcessor({ ...batching, exporter: cleanedExporter(exporters.traces(), about.clean) })
  const lines = () => new BatchLogRecordProcessor({ ...batching, exporter: exporters.logs() })
  const tracing = settings.traces === 'none' ? null : startTracing(settings, resource, spans())
  const logs = settings.logs === 'none' ? null : new LoggerProvider({ resource, processors: [lines()] })
  const metrics =
    settings.metrics === 'none' ? null : createMetricsExport({ ...settings, resource, exporter: exporters.metrics() })

  return {
    tracing: tracing?.tracing ?? null,
    log: logs && createLineExport(logs.getLogger('flatline', about.version)),

    /** Failures are logged there; the metrics of the registry are exported from now on. */
    start(log: TelemetryLog, registry: PromRegistry): void {
      const report = createFailureReport(log)
      diag.setLogger(sdkLogger(report), { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true })
      metrics?.start(registry, report)
    },

    async close(): Promise<void> {
      await Promise.allSettled([tracing?.provider.shutdown(), metrics?.close(), logs?.shutdown()])
      context.disable()
      propagation.disable()
      diag.disable()
    },
  }
}

function startTracing(settings: TelemetrySettings, resource: Resource, processor: BatchSpanProcessor) {
  // The framework's plugin finds the active span and the caller's trace through these two.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  const sampler = samplerOf(settings)
  const ids = createSpanIds()
  const provider = new TracerProvider({ resource, sampler, idGenerator: ids.generator, spanProcessors: [processor] })
  return { provider, tracing: createTracing({ provider, sampler, ids }) }
}

function resourceOf(
  settings: TelemetrySettings,
  { version, environment }: { version: string; environment: string },
): Resource {
  return resourceFromAttributes({
    'service.version': version,
    'service.instance.id': `${hostname()}-${process.pid}`,
    'host.name': hostname(),
    'deployment.environment.name': environment,
    ...parsePairs(settings.resourceAttributes),
    'service.name': settings.serviceName,
  })
}

/** One line a minute: a receiver that is gone fails every few seconds. */
function createFailureReport(log: TelemetryLog): (error: { code?: unknown; message?: string }) => void {
  let quietUntil = 0
  return ({ code, message = 'the export failed' }) => {
    if (performance.now() < quietUntil) return
    quietUntil = performance.now() + failureLineEveryMs
    const reason = code === undefined || message.includes(String(code)) ? message : `${code} ${message}`
    log.warn({ event: 'telemetry.failed', reason }, 'telemetry could not be sent and was dropped')
  }
}

/** What the SDK reports about itself. Its errors are JSON of their properties. */
function sdkLogger(report: ReturnType<typeof createFailureReport>) {
  const ignore = () => undefined
  const error = (text: string) => {
    try {
      report(JSON.parse(text))
    } catch {
      report({ message: text.slice(0, 200) })
    }
  }
  return { error, warn: ignore, info: ignore, debug: ignore, verbose: ignore }
}
