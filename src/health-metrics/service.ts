// Samples of the service itself, kept in a table for those who have no Prometheus. While the database is away samples are dropped,
// not queued: a gap tells as much as they would.

import type { Database } from '../database/service.ts'
import { deleteSamples, insertSamples, type Sample } from './store.ts'

const dayMs = 86_400_000
const sweepIntervalMs = 3_600_000

/** What is sampled: few series, none by tenant. */
export const sampledMetrics = [
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'nodejs_heap_size_used_bytes',
  'nodejs_eventloop_lag_p99_seconds',
  'queue_length',
  'monitors',
  'heartbeats_received_total',
  'flips_total',
  'deliveries_total',
] as const

export function createHealthMetrics(options: {
  database: Database
  /** The current value of every series of these metrics. */
  read: (names: readonly string[]) => Promise<{ name: string; value: number; labels: Record<string, string> }[]>
  node: string
  retentionDays: number
}) {
  const { database, read, node, retentionDays } = options
  let sweptAt = Number.NEGATIVE_INFINITY

  return {
    async sample(): Promise<void> {
      const values = await read(sampledMetrics)
      const samples = values.flatMap(({ name, value, labels }): Sample[] =>
        Number.isFinite(value) ? [{ name, value, tags: { ...labels, node } }] : [],
      )
      await insertSamples(database.prisma, new Date(database.clock.now()), samples)
    },

    /** Removes what is older than the retention, at most once an hour. */
    async sweep(): Promise<void> {
      if (database.clock.monotonic() - sweptAt < sweepIntervalMs) return
      await deleteSamples(database.prisma, sampledMetrics, new Date(database.clock.now() - retentionDays * dayMs))
      sweptAt = database.clock.monotonic()
    },
  }
}
