// Whether this replica can accept heartbeats now: what the probe answers and what the metric shows.

import type { Phase } from '../lifecycle/service.ts'
import type { Health, HealthReport, HealthStatus } from './service.ts'

/** `checks` contains further checks that do not make a replica unready. */
export type Readiness = { ready: boolean; checks: Record<string, string>; reasons: string[] }

/**
 * How long a replica stays ready without its critical checks: as long as heartbeats wait for the database. All replicas
 * share one database, and a restart of it, or a slow moment, would otherwise leave the load balancer without a backend.
 */
const patienceMs = 5000

export function createReadiness(options: {
  health: Pick<Health, 'report' | 'wellWithin'>
  phase: () => Phase
  /** Whether the migrations of this version have been applied. */
  isMigrated: () => boolean
  /** Names of the checks without which the service cannot accept a heartbeat. */
  needed: readonly string[]
  /** Names of checks that are also shown. */
  shown: readonly string[]
  /** Whether heartbeats that this replica accepts stay in its spool although the database answers. */
  isStalled: () => boolean
}): () => Promise<Readiness> {
  const { health, phase, isMigrated, needed, shown, isStalled } = options
  let found: HealthReport['checks'] = {}
  return async () => {
    const state = phase()
    // While the process ends, the database is closed: the answer shows what was last found, at once.
    if (state !== 'draining') found = (await health.report()).checks
    const statusOf = (name: string) => [name, found[name]?.status ?? 'unknown'] as const
    const critical = needed.map(statusOf)
    const others = shown.filter((name) => found[name]).map(statusOf)
    const missing = critical.filter(([name, status]) => isBad(status) && !health.wellWithin(name, patienceMs))
    const reasons = state === 'ready' ? missing.map(([name, status]) => `${name} is ${status}`) : [`server is ${state}`]
    if (isStalled()) reasons.push('the replay of the spool makes no progress')
    const migrations = isMigrated() ? 'applied' : 'pending'
    const checks = { server: state, ...Object.fromEntries(critical), migrations, ...Object.fromEntries(others) }
    return { ready: reasons.length === 0, checks, reasons }
  }
}

const isBad = (status: HealthStatus) => status !== 'healthy' && status !== 'degraded'
