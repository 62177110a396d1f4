// Removes what is older than its retention: heartbeats by whole days, everything else by rows. Any number of replicas
// may do this at once; each leaves alone what another is removing.

import { setTimeout as sleep } from 'node:timers/promises'
import { deleteOldAudit } from '../audit/store.ts'
import { deleteOldBlindWindows } from '../blind-time/store.ts'
import { deleteOldFlips } from '../checks/listing-store.ts'
import type { DeleteOld } from '../database/old-rows.ts'
import type { Database } from '../database/service.ts'
import { deleteOldSamples } from '../health-metrics/store.ts'
import { deleteOldKeys } from '../ingest/dedupe-keys-store.ts'
import { deleteOldQuarantined } from '../ingest/failover/quarantine-store.ts'
import { deleteUsageBefore } from '../ingest/history/bodies-store.ts'
import { type DayPartition, dropPartition, selectPartitionsBefore } from '../ingest/history/partitions-store.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { deleteOldDeliveries } from '../notifications/queue/deletion-store.ts'
import { lockSweep } from './store.ts'

/** Tables whose old rows are deleted; partitioned tables drop partitions instead. */
const deletions = {
  flips: deleteOldFlips,
  deliveries: deleteOldDeliveries,
  audit: deleteOldAudit,
  heartbeat_keys: deleteOldKeys,
  quarantined_heartbeats: deleteOldQuarantined,
  blind_windows: deleteOldBlindWindows,
} satisfies Record<string, DeleteOld>

type RowTable = keyof typeof deletions | 'health_metrics'
export type RetentionDays = Record<RowTable | 'heartbeats', number>

export type RetentionOptions = {
  database: Pick<Database, 'query' | 'transaction' | 'clock' | 'prisma'>
  days: RetentionDays
  count: (table: string, n: number) => void
  log: { info(o: object, message: string): void; warn(o: object, message: string): void }
  batchMax?: number
}

const dayMs = 86_400_000
/**
 * The least pause between two batches; it is also at least as long as the batch took, because others use the database,
 * too.
 */
const pauseLeastMs = 50

export function createRetention({ database, days, count, log, batchMax = 5000 }: RetentionOptions) {
  const { clock } = database
  const { heartbeats: heartbeatsDays, ...tables } = days

  async function sweepTable(table: RowTable, keptDays: number, signal: AbortSignal): Promise<number> {
    const before = clock.now() - keptDays * dayMs
    let deleted = 0
    while (!signal.aborted) {
      const began = clock.monotonic()
      const batch = await deleteBatch(table, before)
      deleted += batch
      count(table, batch)
      if (batch < batchMax) break
      await pause(Math.max(pauseLeastMs, clock.monotonic() - began), signal)
    }
    return deleted
  }

  async function deleteBatch(table: RowTable, before: number): Promise<number> {
    if (table === 'health_metrics') return deleteOldSamples(database.prisma, new Date(before), batchMax)
    return database.transaction(async (tx) =>
      (await lockSweep(tx, table)) ? deletions[table](tx, before, batchMax) : 0,
    )
  }

  /** A day is removed once all of it is too old. */
  async function dropDays(signal: AbortSignal): Promise<number> {
    const firstKept = new Date(clock.now() - heartbeatsDays * dayMs).toISOString().slice(0, 10).replaceAll('-', '')
    let dropped = 0
    const busy = new Set<string>()
    for (const partition of await selectPartitionsBefore(database, firstKept)) {
      if (signal.aborted) break
      if (busy.has(partition.parent)) continue
      if (await isDropped(partition)) dropped++
      else busy.add(partition.parent)
    }
    // Also days whose drop is still pending: a count that is too small for an hour does no harm.
    await deleteUsageBefore(database, firstKept)
    count('heartbeats', dropped)
    return dropped
  }

  async function isDropped(partition: DayPartition): Promise<boolean> {
    try {
      await dropPartition(database, partition)
      return true
    } catch (err) {
      if (isDatabaseAway(err)) throw err
      const line = { event: 'retention.delayed', partition: partition.name, code: (err as { code?: string }).code }
      log.warn(line, 'a day of heartbeats cannot be dropped yet: it is in use, or another replica is dropping it')
      return false
    }
  }

  return {
    /** A table that cannot be swept does not block the others: rejects at the end, with the first failure. */
    async sweep(signal: AbortSignal): Promise<void> {
      const removed: Record<string, number> = {}
      const failed: unknown[] = []
      const sweeps: [table: string, sweep: () => Promise<number>][] = [
        ['heartbeats', () => dropDays(signal)],
        ...(Object.entries(tables) as [RowTable, number][]).map(
          ([table, keptDays]): [string, () => Promise<number>] => [table, () => sweepTable(table, keptDays, signal)],
        ),
      ]
      for (const [table, sweep] of sweeps) {
        try {
          removed[table] = await sweep()
        } catch (error) {
          if (isDatabaseAway(error)) throw error
          failed.push(error)
        }
      }
      const some = Object.fromEntries(Object.entries(removed).filter(([, n]) => n > 0))
      if (Object.keys(some).length > 0)
        log.info({ event: 'retention.swept', removed: some }, 'data older than its retention was removed')
      if (failed.length > 0) throw failed[0]
    },
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
