// A limit, set by the owner of a check, on the pings that are recorded within any minute. It needs no counter: the
// history holds the receive times of the last pings.

export const pingLimitWindowMs = 60_000

/**
 * How many milliseconds too early a ping at `at` is; 0 if it may be recorded. `recorded` holds the receive times of
 * earlier pings, in any order.
 */
export function pingLimitPauseMs(recorded: readonly number[], maxPerMinute: number, at: number): number {
  const within = recorded.filter((instant) => instant > at - pingLimitWindowMs).sort((a, b) => a - b)
  if (within.length < maxPerMinute) return 0
  return (within[within.length - maxPerMinute] as number) + pingLimitWindowMs - at
}
