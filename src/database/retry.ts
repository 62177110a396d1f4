// Retries what is safe to repeat: a few times, with jitter, and not for long. Never what an open circuit breaker
// refused, because the breaker exists to spare the database.

import { setTimeout as sleep } from 'node:timers/promises'
import { breakerRefused, isDatabaseAway } from '../kit/availability.ts'
import { type RetryPolicy, retryDelayMs } from '../kit/backoff.ts'

const policy: RetryPolicy = { baseMs: 40, maxMs: 400 }
const attemptsMax = 5
/** The caller is waiting, so a longer outage is reported as a failure. */
const giveUpAfterMs = 2500

/** Deadlock and serialisation failure: PostgreSQL has rolled back and asks for a retry. */
const conflicts = ['40001', '40P01']

export async function retryWhileSafe<T>(work: () => Promise<T>, isSafe: (error: unknown) => boolean): Promise<T> {
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

/** The connection failed, so the same call on another one may succeed. */
export const isTransient = (error: unknown): boolean => isDatabaseAway(error) && !breakerRefused(error)
