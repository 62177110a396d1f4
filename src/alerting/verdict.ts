// What one attempt means for its delivery: a pure decision.

import { type RetryPolicy, retryDelayMs } from '../kit/backoff.ts'
import type { Hold } from './silence.ts'
import type { DeliveryError } from './transport.ts'

/**
 * Interrupted: the process stops, and nobody knows whether the destination has it, or it was paused for so long that the claim ran out.
 * Forwarded: others are to tell it.
 */
export type Outcome =
  | { kind: 'sent' }
  | { kind: 'forwarded'; channelIds: readonly string[] }
  | { kind: 'suppressed'; reason: string; held: Hold | null; until: number | null }
  | { kind: 'failed'; error: DeliveryError }
  | { kind: 'interrupted'; by: 'shutdown' | 'pause' }

/** `disable` is why the channel is switched off. Instants in epoch milliseconds. */
export type Verdict = {
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

/** What an outcome says of the destination: it works, it does not and why, or nothing. An answer that it does not want is an answer. */
export function healthOf(outcome: Outcome): { works: true } | { works: false; reason: string } | null {
  if (outcome.kind === 'sent') return { works: true }
  if (outcome.kind !== 'failed') return null
  const { status, away } = outcome.error
  if (away !== undefined) return { works: false, reason: away }
  if (status === undefined) return null
  return status < 500 ? { works: true } : { works: false, reason: `http_${status}` }
}

/** `attempts` counts the one that ended at `now`. `random` is uniform in [0, 1). */
export function judge(
  outcome: Outcome,
  delivery: { attempts: number; createdAt: number },
  policy: DeliveryPolicy,
  now: number,
  random: number,
): Verdict {
  if (outcome.kind === 'sent' || outcome.kind === 'forwarded')
    return { status: 'sent', nextAttemptAt: null, lastError: null, disable: null, held: null }
  if (outcome.kind === 'suppressed')
    return {
      status: 'suppressed',
      nextAttemptAt: outcome.until,
      lastError: outcome.reason,
      disable: null,
      held: outcome.held,
    }
  // Free for another replica at once; the idempotency key tells the destination that it may have it already.
  if (outcome.kind === 'interrupted')
    return {
      status: 'retrying',
      nextAttemptAt: now,
      lastError: `interrupted by a ${outcome.by}`,
      disable: null,
      held: null,
    }

  const { error } = outcome
  const lastError = error.message.slice(0, errorMaxLength)
  const suspected =
    error.suspect && delivery.attempts >= suspectAttempts && now - delivery.createdAt >= policy.suspectMs
  const permanent = error.permanent || suspected
  const dead: Verdict = {
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
