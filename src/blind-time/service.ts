import type { BlindWindow } from '../core/blind-time.ts'
import type { Database } from '../database/service.ts'
import { recordAcceptance } from './store.ts'

export type BlindTime = ReturnType<typeof createBlindTime>

/** Keeps the record of when heartbeats could be accepted, and the windows in which nobody could. */
export function createBlindTime(options: { database: Database; blindAfterMs: number; acceptanceIntervalMs: number }) {
  const { database, blindAfterMs, acceptanceIntervalMs } = options
  let windows: readonly BlindWindow[] = []
  let recordedAt = Number.NEGATIVE_INFINITY
  let recording: Promise<void> | undefined

  async function record(): Promise<void> {
    const before = database.clock.monotonic()
    // While it runs a replica may be late with a record. At its start any gap that the others' records do not fill is one
    // in which nobody was there.
    const starting = recordedAt === Number.NEGATIVE_INFINITY
    windows = await recordAcceptance(database, starting ? acceptanceIntervalMs * 1.5 : blindAfterMs)
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

    /**
     * Whether the windows are recent enough to judge a silence by. After a pause of this process or an outage of the database
     * they are not, until the gap has been recorded.
     */
    isCurrent: (): boolean => database.clock.monotonic() - recordedAt < blindAfterMs,
  }
}
