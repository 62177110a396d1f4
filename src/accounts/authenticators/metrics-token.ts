import type { Config } from '../../config/load.ts'
import { permissionsOf } from '../../core/permissions.ts'
import type { Authenticator, Principal } from '../../http/admission/authenticator.ts'
import { isInternal } from '../../http/admission/internal.ts'
import { checkToken, wrongToken } from './service-token.ts'

/** METRICS_TOKEN. If it is not set, everybody is admitted; in production, only callers in the same network. */
export function createMetricsToken({ security, environment }: Config): Authenticator {
  const { metricsToken, metricsTokenPrevious } = security
  const permissions = permissionsOf('collector')
  const collector: Principal = { kind: 'metrics-token', label: 'metrics', projectIds: [], permissions }
  const anybody: Principal = { ...collector, kind: 'anonymous', label: 'anonymous' }
  return {
    name: 'metrics-token',
    permissions,
    rateScope: null,
    schemes: { metricsToken: { type: 'http', scheme: 'bearer', description: 'METRICS_TOKEN, if it is set' } },
    isOptional: true,
    wrong: wrongToken,
    authenticate(request) {
      if (metricsToken !== undefined) return checkToken(request, [metricsToken, metricsTokenPrevious], collector)
      if (environment === 'production' && !isInternal(request))
        return { reason: null, code: 'not_found', message: 'not found' }
      return anybody
    },
  }
}
