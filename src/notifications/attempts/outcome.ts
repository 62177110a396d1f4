// Decides the outcome of one attempt for its delivery. Pure.

import type { SendResult } from '../../channels/sending/send.ts'
import { type RetryPolicy, retryDelayMs } from '../../kit/backoff.ts'
import type { Suppression, SuppressionCode } from '../queue/delivery-columns.ts'

/** The result of one attempt. `until` is when the reason for suppressing may have passed. */
export type AttemptResult = SendResult | ({ kind: 'suppressed' } & Suppression)

/** `disable` is why the channel is switched off. Instants in epoch milliseconds. */
export type DeliveryOutcome = {
  status: 'sent' | 'retrying' | 'dead' | 'suppressed'
  nextAttemptAt: number | null
  /** The last error, or the reason for suppressing. */
  detail: string | null
  disable: string | null
  suppression: SuppressionCode | null
}

/**
 * Retries for `forMs` after the delivery was created. A destination that is only suspected to be gone counts as gone
 * after `suspectMs`.
 */
export type DeliveryPolicy = RetryPolicy & { forMs: number; suspectMs: number }

const errorMaxLength = 500
/** With fewer attempts the time may have passed without attempts, for example during an outage of this service. */
const suspectAttempts = 5

/** `attempts` counts the one that ended at `now`. `random` is uniform in [0, 1). */
export function decide(
  result: AttemptResult,
  delivery: { attempts: number; createdAt: number },
  policy: DeliveryPolicy,
  now: number,
  random: number,
): DeliveryOutcome {
  if (result.kind === 'sent' || result.kind === 'forwarded')
    return { status: 'sent', nextAttemptAt: null, detail: null, disable: null, suppression: null }
  if (result.kind === 'suppressed')
    return {
      status: 'suppressed',
      nextAttemptAt: 'until' in result ? result.until : null,
      detail: result.detail,
      disable: null,
      suppression: result.code,
    }
  // Free for another replica at once; the idempotency key lets the destination recognise a duplicate.
  if (result.kind === 'interrupted')
    return {
      status: 'retrying',
      nextAttemptAt: now,
      detail: `interrupted by a ${result.by}`,
      disable: null,
      suppression: null,
    }

  const { error } = result
  const detail = error.message.slice(0, errorMaxLength)
  const suspected =
    error.suspect && delivery.attempts >= suspectAttempts && now - delivery.createdAt >= policy.suspectMs
  const permanent = error.permanent || suspected
  const dead: DeliveryOutcome = {
    status: 'dead',
    nextAttemptAt: null,
    detail,
    disable: permanent ? detail : null,
    suppression: null,
  }
  if (permanent || !error.retryable) return dead
  const asked = Math.min(error.retryAfterMs ?? 0, policy.maxMs)
  const nextAttemptAt = now + Math.max(asked, retryDelayMs(policy, delivery.attempts, random))
  if (nextAttemptAt > delivery.createdAt + policy.forMs) return dead
  return { status: 'retrying', nextAttemptAt, detail, disable: null, suppression: null }
}
