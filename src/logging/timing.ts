// Log lines that say how long something took, all with the same fields: `event`, `durationMs`, `success`, `items`. They
// are at debug, and at warn if it took longer than a limit. What is slow once is often slow a thousand times, so lines
// at warn are limited, and say how many were left out.

export type TimingLog = { debug(o: object, message: string): void; warn(o: object, message: string): void }

/** How it went; `items` is how many heartbeats, checks or deliveries it was about. Other fields are added to the line. */
export type Measured = { success: boolean; items: number; [field: string]: unknown }

const slowLinesEveryMs = 10_000

/** One line at warn in ten seconds; those left out are at debug. 0 as `slowMs` means that nothing is slow. */
export function createTiming(options: {
  log: TimingLog
  event: string
  message: string
  slowMs: number
  monotonic?: () => number
}): (ms: number, measured: Measured) => void {
  const { log, event, message, slowMs } = options
  const limit = createLineLimit({ everyMs: slowLinesEveryMs, total: 1, monotonic: options.monotonic })
  return (ms, measured) => {
    const isSlow = slowMs > 0 && ms > slowMs
    // A pass that found nothing to do, four times a second.
    if (!isSlow && measured.success && measured.items === 0) return
    const line = { event, durationMs: Math.round(ms * 10) / 10, ...measured }
    const leftOut = isSlow ? limit(event) : null
    if (leftOut === null) log.debug(line, message)
    else log.warn({ ...line, slowMs, ...(leftOut > 0 && { leftOut }) }, `${message}, slowly`)
  }
}

/**
 * Per `everyMs` one line of each key, and `total` lines of all. Null means: leave the line out. Otherwise the number
 * of lines of this key that were left out since its last one. Keys must be names from the code, not data.
 */
export function createLineLimit(options: {
  everyMs: number
  total: number
  monotonic?: (() => number) | undefined
}): (key: string) => number | null {
  const { everyMs, total, monotonic = () => performance.now() } = options
  const keys = new Map<string, { quietUntil: number; leftOut: number }>()
  let windowEnds = 0
  let written = 0
  return (key) => {
    const now = monotonic()
    if (now >= windowEnds) {
      windowEnds = now + everyMs
      written = 0
    }
    const { quietUntil, leftOut } = keys.get(key) ?? { quietUntil: 0, leftOut: 0 }
    if (now < quietUntil || written >= total) {
      keys.set(key, { quietUntil, leftOut: leftOut + 1 })
      return null
    }
    written++
    keys.set(key, { quietUntil: now + everyMs, leftOut: 0 })
    return leftOut
  }
}
