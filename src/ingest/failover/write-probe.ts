// Whether heartbeats can be stored now. A database may answer every other statement and still store no heartbeat,
// because its disk is full or the history is locked. That time is blind. A single refusal does not prove it, because a
// slow database refuses some heartbeats and stores others: a test insert decides.

import { randomUUID } from 'node:crypto'
import type { Database } from '../../database/service.ts'
import { isDatabaseAway, isOutOfTime } from '../../kit/availability.ts'
import { tryInsert } from '../store.ts'

/** The time limit of each statement of a test insert: it must not delay the report of this replica for long. */
const trialMs = 500

/** A test insert in a slow database may take longer than detection can wait for it. */
const suspectedMaxMs = 2000

export function createWriteProbe(options: {
  database: Pick<Database, 'clock' | 'transaction'>
  /**
   * Called when a test insert failed: no heartbeat that arrived from this instant on is stored, in epoch milliseconds.
   */
  onClosed: (since: number) => void
}) {
  const { database, onClosed } = options
  const { monotonic, now } = database.clock
  let storedAt = Number.NEGATIVE_INFINITY
  let isOpen = true
  /** The first heartbeat that was refused, while no later one was stored. */
  let suspect: { since: number; refusedAt: number } | null = null
  let isTrying = false

  function opened(): void {
    isOpen = true
    suspect = null
  }

  async function tryOut(): Promise<void> {
    const began = monotonic()
    isTrying = true
    try {
      await database.transaction((tx) => tryInsert(tx, randomUUID(), now()), trialMs)
      opened()
    } catch (error) {
      // A database that does not answer in time also records no acceptance, which means the same.
      if (!isByServer(error)) return
      if (storedAt >= began || suspect === null || !isOpen) return
      isOpen = false
      onClosed(suspect.since)
    } finally {
      isTrying = false
    }
  }

  return {
    stored(): void {
      storedAt = monotonic()
      opened()
    },

    /**
     * A heartbeat that arrived at `at` on the monotonic clock, `since` in epoch milliseconds, was refused. If others
     * have been stored since, or no column can hold it, only this one cannot be stored.
     */
    refused(error: Error, at: number, since: number): void {
      if (storedAt >= at || suspect !== null || !isByServer(error)) return
      if (!(isDatabaseAway(error) || isOutOfTime(error))) return
      suspect = { since, refusedAt: monotonic() }
    },

    /**
     * Makes a test insert in the background after a refusal, because nothing else ends that state if no more heartbeats
     * come.
     */
    isOpen(): boolean {
      if (suspect !== null && !isTrying) tryOut()
      return isOpen
    },

    /**
     * From when on time may prove blind: detection waits for the test insert, for a while. Null if nothing is
     * suspected.
     */
    suspectedSince(): number | null {
      if (suspect === null || !isOpen || monotonic() - suspect.refusedAt > suspectedMaxMs) return null
      return suspect.since
    },
  }
}

/** PostgreSQL's own errors have a severity; those of the connection do not. */
const isByServer = (error: unknown): boolean => (error as { severity?: unknown }).severity !== undefined
