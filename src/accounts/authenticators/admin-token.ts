import type { Config } from '../../config/load.ts'
import { permissionsOf } from '../../core/permissions.ts'
import type { Authenticator, Principal } from '../../http/admission/authenticator.ts'
import { checkToken, wrongToken } from './service-token.ts'

/** ADMIN_TOKEN. If it is not set, its routes answer as if they did not exist. */
export function createAdminToken({ adminToken, adminTokenPrevious }: Config['security']): Authenticator {
  const permissions = permissionsOf('operator')
  const admin: Principal = { kind: 'admin-token', label: 'admin', projectIds: [], permissions }
  return {
    name: 'admin-token',
    permissions,
    rateScope: 'admin',
    schemes: { adminToken: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN' } },
    wrong: wrongToken,
    authenticate(request) {
      if (adminToken === undefined) return { reason: null, code: 'not_found', message: 'not found' }
      return checkToken(request, [adminToken, adminTokenPrevious], admin)
    },
  }
}
