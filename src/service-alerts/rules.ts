// Rules for alerts about Flatline itself: pure evaluations of what one process knows. Ratios need a minimum number of
// requests to mean anything.

export type AlertLevel = 'INFO' | 'WARNING' | 'CRITICAL'

/** Over windows that end now; ratios from 0 to 1. */
export type Figures = { requests: number; errorRate: number; availability: number; p95: number | null }

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
}

export type Targets = { availability: number; latencyP95Ms: number; maxStalenessMs: number }

/** What is wrong, and at which level; null if nothing is wrong. */
export type Evaluation = { level: AlertLevel; text: string } | null

const requestsMin = 20
const percent = (share: number) => `${Math.round(share * 1000) / 10} %`

export const rules = {
  error_rate({ minute, twoMinutes }) {
    const failing = (figures: Figures, share: number) => figures.requests >= requestsMin && figures.errorRate > share
    const text = (figures: Figures) => `${percent(figures.errorRate)} of ${figures.requests} requests were answered 5xx`
    if (failing(minute, 0.5)) return { level: 'CRITICAL', text: text(minute) }
    if (failing(twoMinutes, 0.1)) return { level: 'CRITICAL', text: text(twoMinutes) }
    return failing(minute, 0.05) ? { level: 'WARNING', text: text(minute) } : null
  },

  latency({ fiveMinutes: { requests, p95 } }, { latencyP95Ms }) {
    if (requests < requestsMin || p95 === null || p95 * 1000 <= latencyP95Ms) return null
    const level = p95 * 1000 > 4 * latencyP95Ms ? 'CRITICAL' : 'WARNING'
    return { level, text: `95 % of requests took up to ${Math.round(p95 * 1000)} ms, the target is ${latencyP95Ms} ms` }
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

  /** Circuit breakers have their own rule: an unavailable destination is not a problem of this service. */
  health({ health, unhealthyChecks }) {
    const others = unhealthyChecks.filter((name) => name !== 'circuit_breakers')
    if (health === 'healthy' || (others.length === 0 && unhealthyChecks.length > 0)) return null
    return {
      level: health === 'unhealthy' ? 'CRITICAL' : 'WARNING',
      text: [`/health says ${health}`, others.join(', ')].filter(Boolean).join(': '),
    }
  },
} satisfies Record<string, (reading: Measurements, targets: Targets) => Evaluation>

export type AlertRule = keyof typeof rules
