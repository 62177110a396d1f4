// The history has one partition per day (UTC), created ahead, so that days can be dropped and no insert ever waits for
// DDL.

import type { Database } from '../../database/service.ts'
import { attachPartition, type Day } from './partitions-store.ts'

const dayMs = 86_400_000

/**
 * Creates the partitions from yesterday, for replayed heartbeats and those around midnight, to `aheadDays` from now.
 */
export async function ensurePartitions(database: Database, aheadDays: number): Promise<void> {
  const today = Math.floor(database.clock.now() / dayMs)
  for (let day = today - 1; day <= today + aheadDays; day++) await attachPartition(database, partitionOf(day))
}

/** Creates the partitions of these instants, for heartbeats that are replayed long after their time. */
export async function ensurePartitionsAt(database: Database, instants: readonly number[]): Promise<void> {
  const days = new Set(instants.map((at) => Math.floor(at / dayMs)))
  for (const day of days) await attachPartition(database, partitionOf(day))
}

function partitionOf(day: number): Day {
  const from = new Date(day * dayMs).toISOString().slice(0, 10)
  const to = new Date((day + 1) * dayMs).toISOString().slice(0, 10)
  return { suffix: from.replaceAll('-', ''), from, to }
}
