import type { BlindWindow } from '../core/blind-time.ts'
import type { Database } from '../database/service.ts'
import * as store from './store.ts'

export type BlindTime = ReturnType<typeof createBlindTime>

/** What a replica that can spool says of itself. */
export type SpoolReport = { replicaId: string; spools: () => boolean }

/** After an outage nobody is declared silent while heartbeats of that time may lie in a spool, but not for ever. */
const spoolPatienceMs = 300_000
const aliveBeforeMs = 10_000

/** Keeps the record of when heartbeats could be accepted, and the windows in which nobody could. */
export function createBlindTime(options: { database: Database; blindAfterMs: number; acceptanceIntervalMs: number }) {
  const { database, blindAfterMs, acceptanceIntervalMs } = options
  const { monotonic } = database.clock
  let windows: readonly BlindWindow[] = []
  let recordedAt = Number.NEGATIVE_INFINITY
  /** Heartbeats have been accepted here from then on, and were last known to be. */
  let accepted = { since: Number.NEGATIVE_INFINITY, at: Number.NEGATIVE_INFINITY }
  let spool: SpoolReport | null = null
  let isAwaited = false
  let recording: Promise<void> | undefined

  function accept(now: number): void {
    accepted = { since: now - accepted.at > blindAfterMs ? now : accepted.since, at: now }
  }

  async function record(): Promise<void> {
    const before = monotonic()
    // While it runs a replica may be late with a record. At its start any gap that the others' records do not fill is one
    // in which nobody was there.
    const starting = recordedAt === Number.NEGATIVE_INFINITY
    const wasAway = before - recordedAt > blindAfterMs
    const since = before - accepted.at > blindAfterMs ? before : accepted.since
    await store.recordAcceptance(database, starting ? acceptanceIntervalMs * 1.5 : blindAfterMs, before - since)
    if (wasAway && since < before) await store.correctWindows(database, monotonic() - since)
    if (spool) await store.reportSpool(database, spool.replicaId, spool.spools())
    isAwaited = await store.isSpoolAwaited(database, spoolPatienceMs, aliveBeforeMs)
    windows = await store.selectWindows(database)
    accept(before)
    recordedAt = before
  }

  return {
    /** Disjoint, sorted, as of the last record. */
    windows: (): readonly BlindWindow[] => windows,

    /** Any number of callers share one record under way. */
    record(): Promise<void> {
      recording ??= record().finally(() => {
        recording = undefined
      })
      return recording
    },

    /** Heartbeats are accepted here, whatever the database does. Called at least twice a second as long as that holds. */
    accepted: (): void => accept(monotonic()),

    /** This replica may hold heartbeats back; it says so with every record from now on. */
    reportSpool(report: SpoolReport): void {
      spool = report
    },

    /** Replicas that are gone and have left no heartbeats, or whose heartbeats have been taken over. */
    forget: (replicaIds: readonly string[]): Promise<void> => store.forgetReplicas(database, replicaIds),

    /**
     * Whether the windows are recent enough to judge by. After a pause of this process or an outage of the database
     * they are not, until the gap has been recorded.
     */
    isCurrent: (): boolean => monotonic() - recordedAt < blindAfterMs,

    /** Whether heartbeats of an outage may still lie in the spool of some replica: no silence is certain then. */
    isAwaited: (): boolean => isAwaited,
  }
}
