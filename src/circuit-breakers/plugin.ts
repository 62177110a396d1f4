import fp from 'fastify-plugin'
import type { Config } from '../config.ts'
import { type BreakerPhase, breakerNumbers } from '../core/breaker.ts'
import { circuitBreakerRoutes } from './routes.ts'
import { type BreakerChange, type CircuitBreakers, createCircuitBreakers } from './service.ts'
import { createSettingsOf } from './settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    circuitBreakers: CircuitBreakers
  }
}

const worstLast: BreakerPhase[] = ['closed', 'half_open', 'open']

export const circuitBreakersPlugin = fp<{ config: Config }>(
  async (app, { config }) => {
    const { log } = app
    const { breakerTransitions, breakerRejections, breakerRequests, observe } = app.domainMetrics

    const circuitBreakers = createCircuitBreakers({
      settingsOf: createSettingsOf(config.breakers),
      monotonic: () => performance.now(),
      wall: Date.now,
      onMade: (kind) => breakerTransitions.inc({ name: kind, from: 'closed', to: 'open' }, 0),
      onChange: ({ name, kind, from, to, reason }: BreakerChange) => {
        breakerTransitions.inc({ name: kind, from, to })
        const line = { event: 'breaker.state_changed', breaker: name, kind, from, to, reason }
        log[to === 'open' ? 'warn' : 'info'](line, 'circuit breaker changed its state')
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

/** Apart from the breakers themselves, because the database has one, and whoever may call this is known only above the database. */
export const circuitBreakerRoutesPlugin = fp(
  async (app) => {
    const { circuitBreakers: breakers, database, audit } = app
    await app.register(circuitBreakerRoutes, {
      breakers,
      async writeAudit(entry) {
        await audit.write(database, entry)
      },
    })
  },
  { name: 'circuit-breaker-routes', dependencies: ['circuit-breakers', 'audit', 'auth', 'http-pressure'] },
)
