// How reliably and fast requests were answered over the last minutes and hours: availability, error ratio, latency. One
// row of counters for each minute of a day, in flat arrays, so that recording a request is two additions and no
// allocation.

const minuteMs = 60_000
const minutesKept = 1440
/** Upper bounds in seconds; the last bucket, for slower answers, has none. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const columns = bounds.length + 2

export type ServiceLevel = ReturnType<typeof createServiceLevel>

/** Figures of one window; latencies in seconds, null without requests. */
export type MeasuredLevel = {
  requests: number
  availability: number
  errorRate: number
  p95: number | null
  p99: number | null
}

export function createServiceLevel(now: () => number) {
  const counters = new Float64Array(minutesKept * columns)
  const minutes = new Float64Array(minutesKept).fill(-1)

  return {
    record(seconds: number, failed: boolean): void {
      const minute = Math.floor(now() / minuteMs)
      const row = minute % minutesKept
      if (minutes[row] !== minute) {
        minutes[row] = minute
        counters.fill(0, row * columns, (row + 1) * columns)
      }
      let bucket = 0
      while (bucket < bounds.length && seconds > (bounds[bucket] as number)) bucket++
      counters[row * columns + bucket]!++
      if (failed) counters[row * columns + columns - 1]!++
    },

    /** Over the current minute and those before it; at most a day. Without requests the availability is 1. */
    level(windowMinutes: number): MeasuredLevel {
      const latest = Math.floor(now() / minuteMs)
      const sums = new Array<number>(columns).fill(0)
      for (let row = 0; row < minutesKept; row++) {
        const minute = minutes[row] as number
        if (minute <= latest - windowMinutes || minute > latest) continue
        for (let column = 0; column < columns; column++) sums[column]! += counters[row * columns + column] as number
      }
      const failed = sums.pop() as number
      const requests = sums.reduce((sum, count) => sum + count, 0)
      const errorRate = requests === 0 ? 0 : failed / requests
      return { requests, availability: 1 - errorRate, errorRate, p95: quantile(sums, 0.95), p99: quantile(sums, 0.99) }
    },
  }
}

/** Interpolates linearly within the bucket, as Prometheus does; in the last bucket the result is its lower bound. */
function quantile(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let below = 0
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number
    const lower = i === 0 ? 0 : (bounds[i - 1] as number)
    const upper = bounds[i] ?? lower
    if (below + count >= share * total) return lower + ((share * total - below) / count) * (upper - lower)
    below += count
  }
  return bounds.at(-1) as number
}
