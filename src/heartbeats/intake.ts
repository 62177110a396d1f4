// Whether heartbeats can be stored now, judged by what became of the last ones. A database may answer every other
// statement and still store none, because its disk is full or the history is locked. That time is blind.

import { randomUUID } from 'node:crypto'
import type { Database } from '../database/service.ts'
import { isDatabaseAway, isOutOfTime } from '../kit/availability.ts'
import { tryInsert } from './store.ts'

/** Of each statement of a trial: it must not hold up the report of this replica for long. */
const trialMs = 500

export function createIntake(options: {
  database: Pick<Database, 'clock' | 'transaction'>
  /** Called when heartbeats that arrived at this instant, in epoch milliseconds, were refused, and none is stored any more. */
  onClosed: (since: number) => void
}) {
  const { database, onClosed } = options
  const { monotonic, now } = database.clock
  let storedAt = Number.NEGATIVE_INFINITY
  let isRefusing = false

  return {
    stored(): void {
      storedAt = monotonic()
      isRefusing = false
    },

    /**
     * A heartbeat was refused that arrived at `at` on the monotonic clock, `since` in epoch milliseconds. If others have
     * been stored since, or no column can hold it, only this one cannot be stored.
     */
    refused(error: Error, at: number, since: number): void {
      if (storedAt >= at || isRefusing || !(isDatabaseAway(error) || isOutOfTime(error))) return
      isRefusing = true
      onClosed(since)
    },

    /** Makes a trial only after a refusal, because nothing else ends that state if no more heartbeats come. */
    async isOpen(): Promise<boolean> {
      if (!isRefusing) return true
      try {
        await database.transaction((tx) => tryInsert(tx, randomUUID(), now()), trialMs)
        isRefusing = false
        return true
      } catch {
        return false
      }
    },
  }
}
