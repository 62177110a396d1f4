// A limit that the owner of a check may set on how many pings are recorded within any minute. Nothing is kept for it: the history
// knows when the last ones came.

export const pingLimitWindowMs = 60_000

/** How long a ping at `at` is too early, 0 if it may be recorded. `recorded` are the instants of those before, in any order. */
export function pingLimitPauseMs(recorded: readonly number[], maxPerMinute: number, at: number): number {
  const within = recorded.filter((instant) => instant > at - pingLimitWindowMs).sort((a, b) => a - b)
  if (within.length < maxPerMinute) return 0
  return (within[within.length - maxPerMinute] as number) + pingLimitWindowMs - at
}
