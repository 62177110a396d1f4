// What the service reports about the database: durations, failures, slow statements, and one pair of log lines per
// outage instead of one for every failure.

import { failureReason } from '../core/failure-reason.ts'
import { breakerRefused, isDatabaseAway } from '../kit/availability.ts'
import { createLineLimit } from '../logging/timing.ts'

export type DatabaseLog = {
  debug(o: object, message: string): void
  info(o: object, message: string): void
  warn(o: object, message: string): void
  error(o: object, message: string): void
}

/** `reason` is one of a fixed set of words. */
export type DatabaseMetrics = {
  statement(name: string, seconds: number): void
  attempt(): void
  failure(reason: string): void
}

/** When the whole database is slow, all statements are. */
const slowLines = { everyMs: 10_000, total: 20 }

export function createTelemetry(options: {
  metrics: DatabaseMetrics
  log: DatabaseLog
  slowQueryMs: number
  monotonic: () => number
}) {
  const { metrics, log, slowQueryMs, monotonic } = options
  const slowLine = createLineLimit({ ...slowLines, monotonic })
  let lostAt: number | null = null

  function answered(): void {
    metrics.attempt()
    if (lostAt === null) return
    const outageMs = Math.round(monotonic() - lostAt)
    lostAt = null
    log.info({ event: 'database.back', outageMs }, 'the database answers again')
  }

  function lost(reason: string): void {
    if (lostAt !== null) return
    lostAt = monotonic()
    log.warn({ event: 'database.lost', reason }, 'the database does not answer')
  }

  return {
    answered,

    /** The database has begun or stopped to hang. */
    hanging(isHanging: boolean): void {
      if (isHanging) lost('timeout')
      else answered()
    },

    /** Only the name, never the values: they are data of people. */
    statement(name: string, ms: number): void {
      // Statements for a day are counted without the day in their name: otherwise the number of series would grow
      // without limit.
      const kind = name.replace(/_\d{8}$/, '_day')
      metrics.statement(kind, ms / 1000)
      if (slowQueryMs === 0 || ms <= slowQueryMs) return
      const leftOut = slowLine(kind)
      const line = { event: 'database.slow_query', statement: name, durationMs: Math.round(ms) }
      if (leftOut === null) log.debug(line, 'slow statement')
      else log.warn({ ...line, ...(leftOut > 0 && { leftOut }) }, 'slow statement')
    },

    failed(error: unknown): void {
      if (!isDatabaseAway(error)) {
        answered()
        return
      }
      if (breakerRefused(error)) return
      const reason = failureReason(error)
      metrics.attempt()
      metrics.failure(reason)
      lost(reason)
    },
  }
}
