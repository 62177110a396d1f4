// A rate limit: `burst` at once, and `perMinute` in the long run. Unused allowance accumulates up to the burst, so no
// minute has more than both together.

export type Pace = { burst: number; perMinute: number }

/** What is left at `at`, in epoch milliseconds. */
export type Allowance = { left: number; at: number }

export function allowanceAt({ burst, perMinute }: Pace, before: Allowance | undefined, at: number): Allowance {
  if (before === undefined) return { left: burst, at }
  const regained = (Math.max(0, at - before.at) * perMinute) / 60_000
  return { left: Math.min(burst, before.left + regained), at }
}
