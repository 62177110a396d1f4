// What one attempt means for its delivery: a pure decision.

import type { SendResult } from '../../channels/sending/send.ts'
import { type RetryPolicy, retryDelayMs } from '../../kit/backoff.ts'
import type { Hold } from '../suppression/suppression.ts'

/** What one attempt resulted in. `until` is when the reason for suppressing may have passed. */
export type AttemptResult = SendResult | { kind: 'suppressed'; reason: string; held: Hold | null; until: number | null }

/** `disable` is why the channel is switched off. Instants in epoch milliseconds. */
export type Outcome = {
  status: 'sent' | 'retrying' | 'dead' | 'suppressed'
  nextAttemptAt: number | null
  lastError: string | null
  disable: string | null
  /** Why it is held back, of what is suppressed until `nextAttemptAt`. */
  held: Hold | null
}

/** Tries again for `forMs` after the delivery was made. A destination that is only suspected to be gone is believed after `suspectMs`. */
export type DeliveryPolicy = RetryPolicy & { forMs: number; suspectMs: number }

const errorMaxLength = 500
/** Before that, time has passed for other reasons. */
const suspectAttempts = 5

/** `attempts` counts the one that ended at `now`. `random` is uniform in [0, 1). */
export function decide(
  result: AttemptResult,
  delivery: { attempts: number; createdAt: number },
  policy: DeliveryPolicy,
  now: number,
  random: number,
): Outcome {
  if (result.kind === 'sent' || result.kind === 'forwarded')
    return { status: 'sent', nextAttemptAt: null, lastError: null, disable: null, held: null }
  if (result.kind === 'suppressed')
    return {
      status: 'suppressed',
      nextAttemptAt: 'until' in result ? result.until : null,
      lastError: result.reason,
      disable: null,
      held: 'held' in result ? result.held : null,
    }
  // Free for another replica at once; the idempotency key tells the destination that it may have it already.
  if (result.kind === 'interrupted')
    return {
      status: 'retrying',
      nextAttemptAt: now,
      lastError: `interrupted by a ${result.by}`,
      disable: null,
      held: null,
    }

  const { error } = result
  const lastError = error.message.slice(0, errorMaxLength)
  const suspected =
    error.suspect && delivery.attempts >= suspectAttempts && now - delivery.createdAt >= policy.suspectMs
  const permanent = error.permanent || suspected
  const dead: Outcome = {
    status: 'dead',
    nextAttemptAt: null,
    lastError,
    disable: permanent ? lastError : null,
    held: null,
  }
  if (permanent || !error.retryable) return dead
  const asked = Math.min(error.retryAfterMs ?? 0, policy.maxMs)
  const nextAttemptAt = now + Math.max(asked, retryDelayMs(policy, delivery.attempts, random))
  if (nextAttemptAt > delivery.createdAt + policy.forMs) return dead
  return { status: 'retrying', nextAttemptAt, lastError, disable: null, held: null }
}
