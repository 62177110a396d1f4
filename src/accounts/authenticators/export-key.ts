import { permissionsOf } from '../../core/permissions.ts'
import type { Authenticator } from '../../http/admission/authenticator.ts'
import { bearerToken } from './credential.ts'
import { bearer, type KeyLookup } from './project-key.ts'

const wrong = 'wrong key'
const permissions = permissionsOf('exporter')

/**
 * A read-only key and no other, as a bearer token or as `key` in the path, with the error codes of Healthchecks. It is
 * for Prometheus, whose configuration is read by more people than should know a key that writes.
 */
export function createExportKey(projects: KeyLookup): Authenticator {
  return {
    name: 'export-key',
    permissions,
    rateScope: 'management',
    schemes: { bearer },
    wrong,
    async authenticate(request) {
      const key = (request.params as { key?: string }).key ?? bearerToken(request)
      if (key === '') return { reason: 'missing', code: 'unauthorized', message: 'missing token' }
      if (key.length !== 32) return { reason: 'missing', code: 'bad_request', message: 'no key' }
      const owner = await projects.authenticate(key)
      if (owner?.kind !== 'api_key_readonly') return { reason: 'wrong_key', code: 'forbidden', message: wrong }
      return { kind: 'export-key', label: owner.kind, projectIds: [owner.projectId], permissions }
    },
  }
}
