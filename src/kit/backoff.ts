// Exponential back-off with jitter: attempt n waits between half and the whole of base * 2^(n-1), bounded by max. Half, not zero,
// as the lower bound, so that a far side which asks for rest gets some.

export type RetryPolicy = { baseMs: number; maxMs: number }

/** Milliseconds to wait after the `attempt`-th failure (from 1). `random` is uniform in [0, 1). */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const whole = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(whole / 2 + (whole / 2) * random)
}
