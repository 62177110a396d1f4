// Exponential backoff with jitter: attempt n waits between half and the whole of base * 2^(n-1), bounded by max. The
// lower bound is half and not zero, so that an overloaded server always gets a pause.

export type RetryPolicy = { baseMs: number; maxMs: number }

/** Milliseconds to wait after the `attempt`-th failure (from 1). `random` is uniform in [0, 1). */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const whole = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(whole / 2 + (whole / 2) * random)
}
