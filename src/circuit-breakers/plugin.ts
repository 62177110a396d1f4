import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config/load.ts'
import { shippedOverrides } from '../config/work.ts'
import { type BreakerPhase, breakerNumbers } from '../core/alerting/breaker.ts'
import { atMost } from '../kit/cache.ts'
import { circuitBreakerRoutes } from './routes.ts'
import { type BreakerChange, type BreakerSettings, type CircuitBreakers, createCircuitBreakers } from './service.ts'

declare module 'fastify' {
  interface FastifyInstance {
    circuitBreakers: CircuitBreakers
  }
}

const worstLast: BreakerPhase[] = ['closed', 'half_open', 'open']

export const circuitBreakersPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { log } = app
    const levelOf = createLevels()
    const { breakerTransitions, breakerRejections, breakerRequests, observe } = app.domainMetrics

    const circuitBreakers = createCircuitBreakers({
      settingsOf: createSettingsOf(config.breakers),
      monotonic: () => performance.now(),
      wall: Date.now,
      onMade: (kind) => breakerTransitions.inc({ name: kind, from: 'closed', to: 'open' }, 0),
      onChange: (change: BreakerChange) => {
        const { name, kind, from, to, reason } = change
        breakerTransitions.inc({ name: kind, from, to })
        const line = { event: 'breaker.state_changed', breaker: name, kind, from, to, reason }
        log[levelOf(change)](line, 'circuit breaker changed its state')
      },
      count: (kind, outcome) => {
        if (outcome === 'rejected') breakerRejections.inc({ name: kind })
        else breakerRequests.inc({ name: kind, outcome })
      },
    })
    observe('circuit_breaker_state', () =>
      circuitBreakers
        .states()
        // Of the breakers of one kind the worst comes last and is shown.
        .sort((a, b) => worstLast.indexOf(a.state) - worstLast.indexOf(b.state))
        .map(({ kind, state }) => ({ value: breakerNumbers[state], labels: { name: kind } })),
    )
    app.decorate('circuitBreakers', circuitBreakers)
  },
  { name: 'circuit-breakers', dependencies: ['metrics'] },
)

const trialsLoggedEveryMs = 60_000
const trialsMax = 10_000

/**
 * An open breaker tries again as long as an outage lasts, that of the database every second. One failed trial per
 * minute is logged at its usual level, the others at debug.
 */
function createLevels() {
  const trials = new LRUCache<string, { logged: boolean; quietUntil: number }>(atMost(trialsMax))
  return ({ name, to }: BreakerChange): 'debug' | 'info' | 'warn' => {
    if (to === 'closed') trials.delete(name)
    if (to === 'half_open') {
      const now = performance.now()
      const quietUntil = trials.get(name)?.quietUntil ?? now
      const logged = now >= quietUntil
      trials.set(name, { logged, quietUntil: logged ? now + trialsLoggedEveryMs : quietUntil })
    }
    if (to !== 'closed' && trials.get(name)?.logged === false) return 'debug'
    return to === 'open' ? 'warn' : 'info'
  }
}

/**
 * A plugin of its own: the database needs the breakers, and authentication, which these routes need, needs the
 * database.
 */
export const circuitBreakerRoutesPlugin = fp(
  async (app) => {
    const { circuitBreakers: breakers, audit } = app
    await app.register(circuitBreakerRoutes, { breakers, writeAudit: audit.record })
  },
  { name: 'circuit-breaker-routes', dependencies: ['circuit-breakers', 'audit', 'auth', 'http-pressure'] },
)

/** The settings of a breaker: overrides for its exact name win over those for its kind. */
export function createSettingsOf({ overrides, ...base }: Config['breakers']) {
  const layers: Record<string, Partial<BreakerSettings>>[] = [shippedOverrides, overrides]
  const settings = (key: string) => layers.map((layer) => (Object.hasOwn(layer, key) ? layer[key] : undefined))
  return (kind: string, name: string): BreakerSettings =>
    Object.assign({}, base, ...settings(kind), ...(name === kind ? [] : settings(name)))
}
