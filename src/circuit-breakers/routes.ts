import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { AuditEntry } from '../audit/store.ts'
import { AppError } from '../core/errors.ts'
import { neverShed } from '../http/admission/pressure.ts'
import { shareSchemas } from '../http/schemas/api-schema.ts'
import { alwaysLog } from '../logging/logger.ts'
import { breakerSchemas, listBreakers, listBreakersShort, resetBreaker, resetBreakers } from './schema.ts'
import type { BreakerDocument, CircuitBreakers } from './service.ts'

const base = '/api/v1/circuit-breakers'
/** The limit of one audit entry. */
const changesMax = 100

const summary = ({ state, failures }: BreakerDocument) => ({ state, failures })

export const circuitBreakerRoutes: FastifyPluginAsyncTypebox<{
  breakers: Pick<CircuitBreakers, 'list' | 'reset'>
  /** Never rejects: a reset is needed exactly when the database may not be writable. */
  writeAudit: (entry: AuditEntry) => Promise<void>
}> = async (app, { breakers, writeAudit }) => {
  // Needed most when a dependency is down, or this process is overloaded or not started yet.
  const anyPhase = { requires: 'service:operate', always: true, ...neverShed } as const
  shareSchemas(app, breakerSchemas)

  async function record(request: FastifyRequest, action: string, target: string, detail: AuditEntry['detail']) {
    const { actor, requestId, address } = request.caller
    const line = { event: 'admin.breaker_reset', breaker: target, action, detail }
    alwaysLog(request.log).info(line, 'circuit breaker reset by the operator')
    await writeAudit({ actor, action, target, detail, requestId, address })
  }

  for (const slash of ['', '/']) {
    const config = { ...anyPhase, undocumented: slash === '' }
    const list = async () => ({ circuit_breakers: breakers.list() })
    app.get(`${base}/status${slash}`, { config, schema: listBreakers }, list)
    app.get(`/circuit-breaker${slash}`, { config, schema: listBreakersShort }, list)

    app.post(`${base}/:name/reset${slash}`, { config, schema: resetBreaker }, async (request) => {
      const { name } = request.params
      const done = breakers.reset(name)
      if (done === null) throw new AppError('not_found', 'circuit breaker not found')
      const detail = { before: summary(done.before), after: summary(done.after) }
      await record(request, 'breaker.reset', name, detail)
      return done.after
    })

    app.post(`${base}/reset-all${slash}`, { config, schema: resetBreakers }, async (request) => {
      const all = breakers.list()
      const touched = all.filter(({ state, failures }) => state !== 'closed' || failures > 0)
      const before = touched.slice(0, changesMax).map((one) => [one.name, summary(one)])
      for (const { name } of all) breakers.reset(name)
      const detail = {
        reset: touched.length,
        before: Object.fromEntries(before),
        after: { state: 'closed', failures: 0 },
      }
      await record(request, 'breaker.reset_all', 'all', detail)
      return { circuit_breakers: breakers.list() }
    })
  }
}
