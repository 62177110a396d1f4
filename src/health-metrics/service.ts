// Samples of the service's own metrics, kept in a table for installations without Prometheus. While the database is
// unavailable samples are dropped, not queued: a gap says as much as they would.

import type { Database } from '../database/service.ts'
import { insertSamples, type Sample, selectNames, selectPoints } from './store.ts'

/** The sampled metrics: few series, none by tenant. */
export const sampledMetrics = [
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'nodejs_heap_size_used_bytes',
  'nodejs_eventloop_lag_p99_seconds',
  'active_connections',
  'database_connections_active',
  'database_connections_idle',
  'database_connections_waiting',
  'db_connection_failures_total',
  'circuit_breaker_state',
  'data_staleness_seconds',
  'queue_length',
  'monitors',
  'heartbeats_received_total',
  'heartbeat_batch_duration_seconds',
  'flips_total',
  'detector_lateness_seconds',
  'detector_duration_seconds',
  'deliveries_total',
  'delivery_duration_seconds',
  'health_status',
  'sla_availability_ratio',
  'sla_latency_p95_seconds',
] as const

type SampledValue = { name: string; value: number; labels: Record<string, string> }

export type MetricQuery = {
  name: string
  /** Epoch milliseconds; `from` is inclusive, `to` exclusive. */
  from: number
  to: number
  stepS: number
  tags: Record<string, string>
}

/** `points` are `[unix seconds, minimum, average, maximum]`, in order of time; steps without samples are absent. */
export type MetricSeries = { name: string; step: number; points: [number, number, number, number][] }

export type HealthMetrics = ReturnType<typeof createHealthMetrics>

export function createHealthMetrics(options: {
  database: Database
  /** The current value of every series of these metrics. */
  read: (names: readonly string[]) => Promise<SampledValue[]>
  node: string
}) {
  const { database, read, node } = options

  return {
    async sample(): Promise<void> {
      const values = withoutTenants((await read(sampledMetrics)).filter(isPlain))
      const samples = values.flatMap(({ name, value, labels }): Sample[] =>
        Number.isFinite(value) ? [{ name, value, tags: { ...labels, node } }] : [],
      )
      await insertSamples(database.prisma, new Date(database.clock.now()), samples)
    },

    series: async ({ name, from, to, stepS, tags }: MetricQuery): Promise<MetricSeries> => ({
      name,
      step: stepS,
      points: await selectPoints(database, { name, from, to, stepS, tags }),
    }),

    /** The names of all metrics with samples. */
    names: () => selectNames(database.prisma),

    now: database.clock.now,
  }
}

/**
 * Of a histogram only sum and count are kept: their increase gives an average, and buckets would be most of the table.
 */
function isPlain({ name, labels }: SampledValue): boolean {
  return !name.endsWith('_bucket') && labels.le === undefined
}

/** Any key may read this table, so it names no project: series that differ only by tenant are added up. */
function withoutTenants(values: readonly SampledValue[]): SampledValue[] {
  const sums = new Map<string, SampledValue>()
  for (const { name, value, labels } of values) {
    const { tenant: _, ...rest } = labels
    const key = JSON.stringify([name, rest])
    const known = sums.get(key)
    if (known) known.value += value
    else sums.set(key, { name, value, labels: rest })
  }
  return [...sums.values()]
}
