// The metrics that /metrics serves, over OTLP: the same names, labels and values, so that a dashboard needs no second set.

import { type HrTime, ValueType } from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, hrTime } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import { createLoop } from '../kit/loop.ts'

type PromValue = { labels: Record<string, string | number | undefined>; value: number; metricName?: string | undefined }
type PromMetric = { name: string; help: string; type: unknown; values: readonly PromValue[] }

export type PromRegistry = { getMetricsAsJSON(): Promise<unknown> }

type MetricsExporter = {
  export(metrics: ResourceMetrics, done: (result: ExportResult) => void): void
  shutdown(): Promise<void>
}

type Temporality = 'cumulative' | 'delta'

export function createMetricsExport(options: {
  resource: Resource
  exporter: MetricsExporter
  metricsIntervalMs: number
  temporality: Temporality
}) {
  const { resource, exporter } = options
  const convert = createConversion(options.temporality)
  let exportNow = async () => {}
  let stop = async () => {}

  return {
    start(registry: PromRegistry, onFailure: (error: Error) => void): void {
      exportNow = async () => {
        const metrics = convert((await registry.getMetricsAsJSON()) as PromMetric[], hrTime())
        const whole = { resource, scopeMetrics: [{ scope: { name: 'flatline' }, metrics }] }
        const result = await new Promise<ExportResult>((resolve) => exporter.export(whole, resolve))
        if (result.code !== ExportResultCode.SUCCESS) onFailure(result.error ?? new Error('the export failed'))
      }
      const ignore = () => undefined
      const loop = createLoop({
        name: 'metrics-export',
        intervalMs: options.metricsIntervalMs,
        log: { error: ignore, debug: ignore },
        step: async () => {
          await exportNow().catch(onFailure)
          return false
        },
      })
      loop.start()
      stop = () => loop.stop()
    },

    /** Exports once more: the last interval may be the one that matters. */
    async close(): Promise<void> {
      await stop()
      await exportNow().catch(() => undefined)
      await exporter.shutdown()
    },
  }
}

/** Prometheus counts from the start of the process; some receivers take only the difference to the last export. */
export function createConversion(temporality: Temporality) {
  const began = hrTime(performance.now() - process.uptime() * 1000)
  const previous = new Map<string, number>()
  let since = began

  function counted(series: string, value: number): number {
    if (temporality === 'cumulative') return value
    const last = previous.get(series) ?? 0
    previous.set(series, value)
    return value >= last ? value - last : value
  }

  return (all: readonly PromMetric[], now: HrTime): MetricData[] => {
    const times = { startTime: since, endTime: now }
    if (temporality === 'delta') since = now
    return all.flatMap((metric) => convertMetric(metric, times, temporality, counted))
  }
}

type PointTimes = { startTime: HrTime; endTime: HrTime }
type Counted = (series: string, value: number) => number

function convertMetric(metric: PromMetric, times: PointTimes, wanted: Temporality, counted: Counted): MetricData[] {
  const { name, help, type, values } = metric
  if (values.length === 0) return []
  const about = {
    descriptor: { name, description: help, unit: '', valueType: ValueType.DOUBLE },
    aggregationTemporality: wanted === 'delta' ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
  }
  const points = (count: Counted) =>
    values.map((value) => point(times, value.labels, count(seriesOf(name, value), value.value)))
  if (type === 'histogram')
    return [{ ...about, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms(metric, times, counted) }]
  if (type === 'counter')
    return [{ ...about, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: points(counted) }]
  if (type === 'gauge')
    return [{ ...about, dataPointType: DataPointType.GAUGE, dataPoints: points((_, value) => value) }]
  return []
}

function point<T>(times: PointTimes, labels: PromValue['labels'], value: T): DataPoint<T> {
  return { ...times, attributes: labels, value }
}

const seriesOf = (name: string, { labels, metricName = name }: PromValue) => `${metricName} ${JSON.stringify(labels)}`

/** Prometheus' buckets count all that is below their bound, those of OTLP only what is above the bound before. */
function histograms({ name, values }: PromMetric, times: PointTimes, counted: Counted): DataPoint<Histogram>[] {
  const byLabels = Map.groupBy(values, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels))
  return [...byLabels.values()].map((series) => {
    const { le: _, ...labels } = series[0]?.labels ?? {}
    const partOf = (suffix: string) => {
      const found = series.find(({ metricName }) => metricName === `${name}_${suffix}`)
      return found === undefined ? 0 : counted(seriesOf(name, found), found.value)
    }
    const buckets = series
      .filter(({ metricName }) => metricName === `${name}_bucket`)
      .map((value) => ({ bound: boundOf(value.labels.le), below: counted(seriesOf(name, value), value.value) }))
      .sort((a, b) => a.bound - b.bound)
    const counts = buckets.map(({ below }, index) => below - (buckets[index - 1]?.below ?? 0))
    const boundaries = buckets.map(({ bound }) => bound).filter(Number.isFinite)
    return point(times, labels, { buckets: { boundaries, counts }, sum: partOf('sum'), count: partOf('count') })
  })
}

const boundOf = (le: string | number | undefined) => (le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le))
