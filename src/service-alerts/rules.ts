// Rules for alerts about Flatline itself: pure evaluations of what one process knows. Ratios need a minimum number of
// requests to mean anything.

import type { Trend } from './trend.ts'

export type AlertLevel = 'INFO' | 'WARNING' | 'CRITICAL'

/** Over windows that end now; ratios from 0 to 1, latencies in seconds. */
export type Figures = {
  requests: number
  errorRate: number
  availability: number
  p95: number | null
  p99: number | null
}

export type Measurements = {
  minute: Figures
  twoMinutes: Figures
  fiveMinutes: Figures
  hour: Figures
  /**
   * Kinds whose circuit breakers are open or half open: a half-open breaker does not mean that the destination works.
   */
  openBreakers: readonly string[]
  stalenessMs: number
  /** Projects whose channels are all switched off. */
  unreachableProjects: number
  health: 'healthy' | 'degraded' | 'unhealthy' | 'unknown'
  /** Names of its checks that are not healthy. */
  unhealthyChecks: readonly string[]
  /** Resident memory in percent of the container's limit; null if the check of it gives no number. */
  memoryPercent: number | null
  trend: Trend
}

export type Targets = {
  availability: number
  latencyP95Ms: number
  maxStalenessMs: number
  memoryWarnPercent: number
  memoryDegradedPercent: number
  heapLimitBytes: number
  /** At most one: one thread does the work. */
  cpuLimitCores: number
}

/** What is wrong, and at which level; null if nothing is wrong. */
export type Evaluation = { level: AlertLevel; text: string } | null

const requestsMin = 20
const heapMax = 0.8
const cpuMax = 0.8
const percent = (share: number) => `${Math.round(share * 1000) / 10} %`

export const rules = {
  error_rate({ minute, twoMinutes }) {
    const failing = (figures: Figures, share: number) => figures.requests >= requestsMin && figures.errorRate > share
    const text = (figures: Figures) => `${percent(figures.errorRate)} of ${figures.requests} requests were answered 5xx`
    if (failing(minute, 0.5)) return { level: 'CRITICAL', text: text(minute) }
    if (failing(twoMinutes, 0.1)) return { level: 'CRITICAL', text: text(twoMinutes) }
    return failing(minute, 0.05) ? { level: 'WARNING', text: text(minute) } : null
  },

  latency({ fiveMinutes, twoMinutes }, { latencyP95Ms: target }) {
    const slow = ({ requests }: Figures, seconds: number | null, limitMs: number) =>
      requests >= requestsMin && seconds !== null && seconds * 1000 > limitMs
    const text = (share: string, seconds: number | null) =>
      `${share} of requests took up to ${Math.round(Number(seconds) * 1000)} ms, the target is ${target} ms`
    const { p95 } = fiveMinutes
    if (slow(fiveMinutes, p95, 2 * target)) return { level: 'CRITICAL', text: text('95 %', p95) }
    if (slow(fiveMinutes, p95, target)) return { level: 'WARNING', text: text('95 %', p95) }
    const { p99 } = twoMinutes
    return slow(twoMinutes, p99, target) ? { level: 'WARNING', text: text('99 %', p99) } : null
  },

  availability({ hour: { requests, availability } }, targets) {
    if (requests < 5 * requestsMin || availability >= targets.availability) return null
    const level = 1 - availability > 4 * (1 - targets.availability) ? 'CRITICAL' : 'WARNING'
    return {
      level,
      text: `${percent(availability)} of the last hour's requests were answered, the target is ${percent(targets.availability)}`,
    }
  },

  breaker({ openBreakers }) {
    if (openBreakers.length === 0) return null
    const level = openBreakers.includes('database') ? 'CRITICAL' : 'INFO'
    return { level, text: `circuit breakers are open: ${openBreakers.join(', ')}` }
  },

  staleness({ stalenessMs }, { maxStalenessMs }) {
    if (stalenessMs <= maxStalenessMs) return null
    const level = stalenessMs > 5 * maxStalenessMs ? 'CRITICAL' : 'WARNING'
    return {
      level,
      text: `the oldest heartbeat that is not in the database is ${Math.round(stalenessMs / 1000)} s old`,
    }
  },

  channels({ unreachableProjects: count }) {
    if (count === 0) return null
    const whose = count === 1 ? 'one project' : `${count} projects`
    return { level: 'WARNING', text: `nobody is alerted about the checks of ${whose}: all channels are switched off` }
  },

  memory({ memoryPercent, trend: { heapUsedBytes } }, { memoryWarnPercent, memoryDegradedPercent, heapLimitBytes }) {
    const heap = heapUsedBytes === null ? 0 : heapUsedBytes / heapLimitBytes
    if (memoryPercent !== null && memoryPercent >= memoryWarnPercent) {
      const level = memoryPercent > memoryDegradedPercent ? 'CRITICAL' : 'WARNING'
      return { level, text: `this process uses ${memoryPercent} % of the memory that it may use` }
    }
    if (heap <= heapMax) return null
    return { level: 'WARNING', text: `${percent(heap)} of the JavaScript heap have been used for five minutes` }
  },

  cpu({ trend: { cpuShare } }, { cpuLimitCores }) {
    if (cpuShare === null || cpuShare / cpuLimitCores <= cpuMax) return null
    const text = `this process used ${percent(cpuShare / cpuLimitCores)} of its processor time for five minutes`
    return { level: 'WARNING', text }
  },

  /** Uses of the database that cannot get a connection. Once its circuit breaker is open, that rule reports it. */
  connections({ openBreakers, trend: { databaseFailures, databaseFailureShare, waiting } }) {
    if (openBreakers.includes('database')) return null
    if (databaseFailureShare !== null && databaseFailureShare > 0.1)
      return { level: 'CRITICAL', text: `${percent(databaseFailureShare)} of the uses of the database fail` }
    if (databaseFailures > 0)
      return { level: 'WARNING', text: `the database could not be reached ${databaseFailures} times in five minutes` }
    if (waiting === 0) return null
    return { level: 'WARNING', text: `${waiting} callers have waited for a database connection for two minutes` }
  },

  /**
   * Memory and circuit breakers have rules of their own; an unavailable destination is not a problem of this service.
   */
  health({ health, unhealthyChecks }) {
    const others = unhealthyChecks.filter((name) => name !== 'circuit_breakers' && name !== 'memory')
    if (health === 'healthy' || (others.length === 0 && unhealthyChecks.length > 0)) return null
    return {
      level: health === 'unhealthy' ? 'CRITICAL' : 'WARNING',
      text: [`/health says ${health}`, others.join(', ')].filter(Boolean).join(': '),
    }
  },
} satisfies Record<string, (reading: Measurements, targets: Targets) => Evaluation>

export type AlertRule = keyof typeof rules
