// When Flatline itself is not well: pure judgements of what one process knows of itself. Shares need a number of requests to mean anything.

export type AlertLevel = 'INFO' | 'WARNING' | 'CRITICAL'

/** Over windows that end now; shares from 0 to 1. */
export type Figures = { requests: number; errorRate: number; availability: number; p95: number | null }

export type Measurements = {
  minute: Figures
  twoMinutes: Figures
  fiveMinutes: Figures
  hour: Figures
  /** Kinds whose circuit breakers are open, or half open: a destination that is tried again need not work. */
  openBreakers: readonly string[]
  stalenessMs: number
  /** Whose channels are all switched off. */
  unreachableProjects: number
  health: 'healthy' | 'degraded' | 'unhealthy' | 'unknown'
  /** Names of the checks behind it that are not well. */
  ailing: readonly string[]
}

export type Targets = { availability: number; latencyP95Ms: number; maxStalenessMs: number }

/** What is wrong, and how badly; null if nothing is. */
export type Judgement = { level: AlertLevel; text: string } | null

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
    return { level: 'WARNING', text: `nobody hears of the checks of ${whose}: all of the channels are switched off` }
  },

  /** Circuit breakers have a rule of their own: a destination that is away is not a problem of this service. */
  health({ health, ailing }) {
    const others = ailing.filter((name) => name !== 'circuit_breakers')
    if (health === 'healthy' || (others.length === 0 && ailing.length > 0)) return null
    return {
      level: health === 'unhealthy' ? 'CRITICAL' : 'WARNING',
      text: [`/health says ${health}`, others.join(', ')].filter(Boolean).join(': '),
    }
  },
} satisfies Record<string, (reading: Measurements, targets: Targets) => Judgement>

export type AlertRule = keyof typeof rules
