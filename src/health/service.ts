// A registry of named checks. They run in parallel with a time limit each, and their results are cached for a second,
// so that any number of probes costs one run. The worst critical check is the overall status; the others can only
// degrade it.

export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy' | 'unknown'

/**
 * The result of a check. The answer contains further fields as they are, so they must not name tenants, hosts or error
 * texts.
 */
export type Finding = { status: HealthStatus } & Record<string, unknown>

/** `late` is added to the result if the check takes longer than `timeoutMs`. */
export type HealthCheck = {
  name: string
  critical: boolean
  timeoutMs: number
  run: () => Promise<Finding> | Finding
  late?: Record<string, unknown>
}

export type HealthReport = { status: HealthStatus; checks: Record<string, Finding & { responseTime: number }> }

export type Health = ReturnType<typeof createHealth>

const rememberMs = 1000
const severity: HealthStatus[] = ['healthy', 'degraded', 'unknown', 'unhealthy']

export function createHealth(options: { monotonic: () => number }) {
  const { monotonic } = options
  const registered: HealthCheck[] = []
  const lastWellAt = new Map<string, number>()
  let remembered: { at: number; report: Promise<HealthReport> } | undefined

  async function look(): Promise<HealthReport> {
    const findings = await Promise.all(registered.map((check) => timed(check, monotonic)))
    for (const [i, { name }] of registered.entries())
      if (isHealthyOrDegraded(findings[i]?.status)) lastWellAt.set(name, monotonic())
    return {
      status: overall(registered.map(({ critical }, i) => ({ critical, status: findings[i]?.status ?? 'unknown' }))),
      checks: Object.fromEntries(registered.map(({ name }, i) => [name, findings[i] as (typeof findings)[number]])),
    }
  }

  return {
    register(check: HealthCheck): void {
      registered.push(check)
    },
    /** Whether a check was found healthy or degraded within that time. */
    wellWithin: (name: string, ms: number): boolean =>
      monotonic() - (lastWellAt.get(name) ?? Number.NEGATIVE_INFINITY) <= ms,
    /** Drops the cached results: the next report runs the checks again. */
    forget(): void {
      remembered = undefined
    },
    report(): Promise<HealthReport> {
      if (remembered === undefined || monotonic() - remembered.at >= rememberMs) {
        remembered = { at: monotonic(), report: look() }
      }
      return remembered.report
    },
  }
}

function isHealthyOrDegraded(status: HealthStatus | undefined): boolean {
  return status === 'healthy' || status === 'degraded'
}

/**
 * A critical check counts with its status, except that `unknown` degrades; of the others only a bad status counts, and
 * it degrades.
 */
export function overall(findings: readonly { critical: boolean; status: HealthStatus }[]): HealthStatus {
  const counted = findings.map(({ critical, status }): HealthStatus => {
    if (status === 'healthy' || (status === 'unknown' && !critical)) return 'healthy'
    return critical && status === 'unhealthy' ? 'unhealthy' : 'degraded'
  })
  return counted.sort((a, b) => severity.indexOf(b) - severity.indexOf(a))[0] ?? 'healthy'
}

async function timed(check: HealthCheck, monotonic: () => number): Promise<Finding & { responseTime: number }> {
  const before = monotonic()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => resolve({ status: 'unhealthy', reason: 'timeout', ...check.late }), check.timeoutMs)
  })
  const finding = await Promise.race([
    (async () => check.run())().catch((): Finding => ({ status: 'unhealthy' })),
    late,
  ])
  clearTimeout(timer)
  return { ...finding, responseTime: Math.round(monotonic() - before) }
}
