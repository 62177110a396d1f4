// Whether this replica can accept heartbeats now: what the probe answers and what the metric shows.

import type { Phase } from '../lifecycle/service.ts'
import type { Health } from './service.ts'

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
  /** Names of the checks without which the service cannot accept a heartbeat. */
  needed: readonly string[]
  /** Names of checks that are also shown. */
  shown: readonly string[]
  /** Whether heartbeats that this replica accepts stay in its spool although the database answers. */
  isStalled: () => boolean
}): () => Promise<Readiness> {
  const { health, phase, needed, shown, isStalled } = options
  return async () => {
    const state = phase()
    const checks: Record<string, string> = { server: state }
    if (state === 'ready') {
      const found = (await health.report()).checks
      for (const name of needed) checks[name] = found[name]?.status ?? 'unknown'
      for (const name of shown) if (found[name]) checks[name] = found[name].status
    }
    const reasons = Object.entries(checks)
      .filter(([name, status]) => !shown.includes(name) && !['ready', 'healthy', 'degraded'].includes(status))
      .filter(([name]) => !health.wellWithin(name, patienceMs))
      .map(([name, status]) => `${name} is ${status}`)
    if (isStalled()) reasons.push('the replay of the spool makes no progress')
    return { ready: reasons.length === 0, checks, reasons }
  }
}
