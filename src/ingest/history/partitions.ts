// History lies in one partition a day (UTC), made ahead, so that it can be dropped by the day and no insert ever waits for DDL.

import type { Database } from '../../database/service.ts'
import { attachPartition, type Day } from './partitions-store.ts'

const dayMs = 86_400_000

/** Makes the partitions from yesterday, for what is replayed or comes around midnight, to `aheadDays` from now. */
export async function ensurePartitions(database: Database, aheadDays: number): Promise<void> {
  const today = Math.floor(database.clock.now() / dayMs)
  for (let day = today - 1; day <= today + aheadDays; day++) await attachPartition(database, partitionOf(day))
}

/** Makes the partitions of these instants, for what is replayed long after its time. */
export async function ensurePartitionsAt(database: Database, instants: readonly number[]): Promise<void> {
  const days = new Set(instants.map((at) => Math.floor(at / dayMs)))
  for (const day of days) await attachPartition(database, partitionOf(day))
}

function partitionOf(day: number): Day {
  const from = new Date(day * dayMs).toISOString().slice(0, 10)
  const to = new Date((day + 1) * dayMs).toISOString().slice(0, 10)
  return { suffix: from.replaceAll('-', ''), from, to }
}
