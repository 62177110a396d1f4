// Requests to the OTLP endpoint, one kind for each signal.

import { createOtlpHttpExportDelegate, httpAgentFactoryFromOptions } from '@opentelemetry/otlp-exporter-base/node-http'
import {
  type ISerializer,
  JsonLogsSerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  LogsExporterMetricsHelper,
  MetricsExporterMetricsHelper,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
  TraceExporterMetricsHelper,
} from '@opentelemetry/otlp-transformer'
import type { Config } from '../config/load.ts'
import { parsePairs } from './pairs.ts'

/** Spans, or log lines, in one request. */
export const batchMax = 512

export function createExporters(settings: Config['telemetry'], endpoint: string) {
  const isJson = settings.protocol === 'http/json'
  const headers = {
    'content-type': isJson ? 'application/json' : 'application/x-protobuf',
    ...parsePairs(settings.headers),
  }
  const exporter = <Items, Answer>(
    path: string,
    json: ISerializer<Items, Answer>,
    protobuf: ISerializer<Items, Answer>,
    helper: Parameters<typeof createOtlpHttpExportDelegate<Items, Answer>>[3],
  ) => {
    const options = {
      url: `${endpoint}/${path}`,
      // The SDK adds to them.
      headers: async () => ({ ...headers }),
      compression: settings.compression,
      timeoutMillis: settings.timeoutMs,
      // The end of the process sends all that waits at the same time.
      concurrencyLimit: Math.ceil(settings.queueMax / batchMax) + 1,
      agentFactory: httpAgentFactoryFromOptions({ keepAlive: true }),
    }
    return createOtlpHttpExportDelegate(options, isJson ? json : protobuf, path, helper, undefined)
  }
  return {
    traces: () => exporter('v1/traces', JsonTraceSerializer, ProtobufTraceSerializer, TraceExporterMetricsHelper),
    metrics: () =>
      exporter('v1/metrics', JsonMetricsSerializer, ProtobufMetricsSerializer, MetricsExporterMetricsHelper),
    logs: () => exporter('v1/logs', JsonLogsSerializer, ProtobufLogsSerializer, LogsExporterMetricsHelper),
  }
}
