// What is safe to try again, is: a little later, with jitter, a few times, and not for long. Never what an open circuit breaker refused,
// because sparing the database is its purpose.

import { setTimeout as sleep } from 'node:timers/promises'
import { breakerRefused, isDatabaseAway } from '../kit/availability.ts'
import { type RetryPolicy, retryDelayMs } from '../kit/backoff.ts'

const policy: RetryPolicy = { baseMs: 40, maxMs: 400 }
const attemptsMax = 5
/** The caller still waits: an outage that lasts longer is reported as a failure. */
const giveUpAfterMs = 2500

/** Deadlock and serialisation failure: PostgreSQL has undone everything and asks to be asked again. */
const conflicts = ['40001', '40P01']

export async function persist<T>(work: () => Promise<T>, isSafe: (error: unknown) => boolean): Promise<T> {
  const began = performance.now()
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const tooLate = attempt === attemptsMax || performance.now() - began > giveUpAfterMs
      if (tooLate || !isSafe(error)) throw error
      await sleep(retryDelayMs(policy, attempt, Math.random()))
    }
  }
}

export const isConflict = (error: unknown): boolean => conflicts.includes((error as { code?: string }).code ?? '')

/** The connection failed, so that the same on another one may succeed. */
export const isTransient = (error: unknown): boolean => isDatabaseAway(error) && !breakerRefused(error)
