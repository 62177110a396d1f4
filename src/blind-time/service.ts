import type { BlindWindow } from '../core/blind-time.ts'
import type { Database } from '../database/service.ts'
import { recordAcceptance } from './store.ts'

export type BlindTime = ReturnType<typeof createBlindTime>

/** Keeps the record of when heartbeats could be accepted, and the windows in which nobody could. */
export function createBlindTime(options: { database: Database; blindAfterMs: number }) {
  const { database, blindAfterMs } = options
  let windows: readonly BlindWindow[] = []
  let recordedAt = Number.NEGATIVE_INFINITY
  let recording: Promise<void> | undefined

  async function record(): Promise<void> {
    const before = database.clock.monotonic()
    windows = await recordAcceptance(database, blindAfterMs)
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
