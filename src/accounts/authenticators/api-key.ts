import { permissionsOf } from '../../core/permissions.ts'
import type { Authenticator } from '../../http/admission/authenticator.ts'
import { givenKey, keyMayBeInBody } from './credential.ts'
import { findOwner, type KeyLookup, keySchemes } from './project-key.ts'

const wrong = 'wrong api key'
const permissions = { api_key: permissionsOf('editor'), api_key_readonly: permissionsOf('reader') }

/** The read-write or the read-only key of a project. */
export function createApiKey(projects: KeyLookup): Authenticator {
  return {
    name: 'api-key',
    permissions: [...new Set(Object.values(permissions).flat())],
    rateScope: 'management',
    schemes: keySchemes,
    wrong,
    isInBody: keyMayBeInBody,
    async authenticate(request) {
      if (givenKey(request).length !== 32)
        return { reason: 'missing', code: 'unauthorized', message: 'missing api key' }
      const owner = await findOwner(request, projects)
      if (owner !== null && 'later' in owner) return owner.later
      if (owner === null || owner.kind === 'ping_key')
        return { reason: 'wrong_key', code: 'unauthorized', message: wrong }
      const { projectId, kind } = owner
      return { kind: 'api-key', label: kind, projectIds: [projectId], permissions: permissions[kind] }
    },
  }
}
