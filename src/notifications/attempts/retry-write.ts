// A message that was sent must not be sent again because the database failed when its outcome was to be recorded: the write is
// retried until the database is back.

import { setTimeout as sleep } from 'node:timers/promises'
import { isDatabaseAway } from '../../kit/availability.ts'
import { retryDelayMs } from '../../kit/backoff.ts'

const retry = { baseMs: 100, maxMs: 2000 }
/** For failures other than an outage of the database. */
const failuresMax = 10

/** Rejects with the error of `write` once the signal has aborted, or if waiting does not help. */
export async function retryWrite(write: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let failures = 1; ; failures++) {
    try {
      return await write()
    } catch (error) {
      if (signal.aborted || (!isDatabaseAway(error) && failures >= failuresMax)) throw error
      await sleep(retryDelayMs(retry, failures, 1), undefined, { signal }).catch(() => undefined)
    }
  }
}
