// The health checks and their limits. A check gets what it needs as functions, and its result names no tenants, hosts
// or errors.

import type { BreakerPhase } from '../core/alerting/breaker.ts'
import type { PoolState } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import type { Load } from './overload.ts'
import type { HealthCheck } from './service.ts'

const mebibyte = 2 ** 20
const check = (
  name: string,
  critical: boolean,
  run: HealthCheck['run'],
  options: Pick<HealthCheck, 'late'> = {},
): HealthCheck => ({ name, critical, timeoutMs: 2000, run, ...options })

/** Below the time-out of a check. A database that takes longer is slow or hangs; its regular test query shows which. */
const slowMs = 1500

/**
 * A round trip. If it takes longer than `degradedMs` the check is degraded, however long it takes: a slow database
 * still works. `connection` tells a database that is unreachable from one with errors.
 */
export function databaseCheck(options: {
  ping: () => Promise<void>
  pool: () => PoolState | null
  monotonic: () => number
  degradedMs: number
  /** Whether the database does not answer even trivial queries. */
  isHanging: () => boolean
  /** Whether a spool can keep heartbeats until the database is back. */
  canSpool: () => boolean
}): HealthCheck {
  const { ping, pool, monotonic, degradedMs, isHanging, canSpool } = options
  const run = async () => {
    const began = monotonic()
    try {
      const isAnswered = await within(ping(), slowMs)
      if (!isAnswered && isHanging())
        return { status: canSpool() ? 'degraded' : 'unhealthy', connection: 'error' } as const
      const isSlow = !isAnswered || monotonic() - began > degradedMs
      return { status: isSlow ? 'degraded' : 'healthy', connection: 'connected', pool: pool() } as const
    } catch (error) {
      const isAway = isDatabaseAway(error) && !isHanging()
      return {
        status: canSpool() ? 'degraded' : 'unhealthy',
        connection: isAway ? 'disconnected' : 'error',
      } as const
    }
  }
  return check('database', true, run)
}

/**
 * Resident memory against the limit of the container, in MiB. The used share of the heap is always high and says
 * nothing.
 */
export function memoryCheck(options: {
  rss: () => number
  limitBytes: number
  warnPercent: number
  degradedPercent: number
}): HealthCheck {
  const { rss, limitBytes, warnPercent, degradedPercent } = options
  return check('memory', false, () => {
    const used = rss()
    const percentage = percentOf(used, limitBytes)
    return {
      status: percentage > degradedPercent ? 'degraded' : 'healthy',
      warning: percentage >= warnPercent,
      used: Math.round(used / mebibyte),
      total: Math.round(limitBytes / mebibyte),
      percentage,
    }
  })
}

export function diskCheck(
  usage: () => Promise<{ usedBytes: number; totalBytes: number }>,
  degradedPercent: number,
): HealthCheck {
  return check('disk', false, async () => {
    try {
      const { usedBytes, totalBytes } = await usage()
      const percentage = percentOf(usedBytes, totalBytes)
      const free = Math.round((totalBytes - usedBytes) / mebibyte)
      return { status: percentage > degradedPercent ? 'degraded' : 'healthy', free, percentage }
    } catch {
      return { status: 'unknown' }
    }
  })
}

/** Overload of the event loop, which slows everything that this process does. */
export function processCheck(options: {
  load: () => Load
  isOverloaded: () => boolean
  /** Microseconds of processor time so far, user and system together. */
  cpuMicros: () => number
  counts: () => Promise<{ threads: number | null; openFiles: number | null }>
  monotonic: () => number
}): HealthCheck {
  const { load, isOverloaded, cpuMicros, counts, monotonic } = options
  let before = { at: monotonic(), micros: cpuMicros() }
  return check('process', true, async () => {
    const { eventLoopDelay, eventLoopUtilized } = load()
    const now = { at: monotonic(), micros: cpuMicros() }
    const elapsedMs = Math.max(1, now.at - before.at)
    const cpuPercent = Math.round((now.micros - before.micros) / 10 / elapsedMs)
    before = now
    return {
      status: isOverloaded() ? 'degraded' : 'healthy',
      eventLoopDelayMs: Math.round(eventLoopDelay),
      eventLoopUtilization: Math.round(eventLoopUtilized * 100) / 100,
      cpuPercent,
      ...(await counts()),
    }
  })
}

/** With fewer look-ups the ratio says nothing. */
const lookupsMin = 1000
const cacheWindowMs = 300_000

/** Over the last minutes. A hit ratio near zero means that every call asks the database for the project of its key. */
export function cacheCheck(options: {
  stats: () => { hits: number; misses: number }
  minHitRatio: number
  monotonic: () => number
}): HealthCheck {
  const { stats, minHitRatio, monotonic } = options
  let start = { at: monotonic(), hits: 0, misses: 0 }
  let next = start
  return check('cache', false, () => {
    const { hits, misses } = stats()
    const now = { at: monotonic(), hits, misses }
    if (now.at - next.at >= cacheWindowMs) {
      start = next
      next = now
    }
    const lookups = hits - start.hits + misses - start.misses
    if (lookups < lookupsMin) return { status: 'unknown', lookups, hitRatio: null }
    const hitRatio = Math.round(((hits - start.hits) / lookups) * 1000) / 1000
    return { status: hitRatio < minHitRatio ? 'degraded' : 'healthy', lookups, hitRatio }
  })
}

export function circuitBreakersCheck(states: () => readonly { state: BreakerPhase }[]): HealthCheck {
  return check('circuit_breakers', false, () => {
    const all = states()
    const open = all.filter(({ state }) => state === 'open').length
    const halfOpen = all.filter(({ state }) => state === 'half_open').length
    return { status: open > 0 ? 'degraded' : 'healthy', open, halfOpen, total: all.length }
  })
}

/** A round trip through the key that encrypts channels' settings. The service does not start without a key. */
export function encryptionCheck(test: () => void, environment: string): HealthCheck {
  return check('encryption', true, () => {
    let testPassed = true
    try {
      test()
    } catch {
      testPassed = false
    }
    const about = { enabled: true, keySet: true, algorithm: 'aes-256-gcm', keyLength: 32, environment }
    return { status: testPassed ? 'healthy' : 'unhealthy', keyValid: testPassed, testPassed, ...about }
  })
}

/**
 * Heartbeats that were received and are not in the database: in memory and unanswered, or answered and in the spool.
 */
export function spoolCheck(options: {
  queued: () => number
  /** Acknowledged heartbeats that the database refuses. */
  spool: {
    backlog: () => { records: number; bytes: number }
    hasRoom: () => boolean
    isStalled: () => boolean
  } | null
  /** Acknowledged heartbeats that the database refuses. */
  quarantined: () => number
  stalenessMs: () => number
  maxStalenessMs: number
}): HealthCheck {
  const { queued, spool, quarantined, stalenessMs, maxStalenessMs } = options
  return check('spool', true, () => {
    const dataStalenessMs = stalenessMs()
    const stale = dataStalenessMs > maxStalenessMs ? 'degraded' : 'healthy'
    const isStalled = spool?.isStalled() ?? false
    const status = isStalled || spool?.hasRoom() === false ? 'unhealthy' : stale
    const { records = 0, bytes = 0 } = spool?.backlog() ?? {}
    const waiting = { queued: queued(), records, bytes, dataStalenessMs }
    return { status, enabled: spool !== null, ...waiting, replayStalled: isStalled, quarantined: quarantined() }
  })
}

/** A detector that stops raises no alarm, and nobody would notice. Until its first run, its start counts. */
export function detectorCheck(options: {
  /** 0 if never. */
  lastRun: () => number
  startedAt: () => number
  now: () => number
  degradedMs: number
}): HealthCheck {
  const { lastRun, startedAt, now, degradedMs } = options
  return check('detector', false, () => {
    const since = lastRun() || startedAt()
    if (since === 0) return { status: 'unknown', lastRunAgoMs: null }
    const lastRunAgoMs = lastRun() === 0 ? null : Math.round(now() - lastRun())
    return { status: now() - since > degradedMs ? 'degraded' : 'healthy', lastRunAgoMs }
  })
}

/** Replicas count calls together in Redis; without it each counts its own. */
export function redisCheck(ping: () => Promise<void>): HealthCheck {
  return check('redis', false, async () => {
    await ping()
    return { status: 'healthy' }
  })
}

/** False if `work` takes longer than `limitMs`; its result is then ignored. */
async function within(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limitMs, false)
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

function percentOf(part: number, whole: number): number {
  return Math.round((part / whole) * 1000) / 10
}
