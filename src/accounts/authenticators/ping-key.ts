import { permissionsOf } from '../../core/permissions.ts'
import type { Authenticator } from '../../http/admission/authenticator.ts'
import { givenKey } from './credential.ts'
import { findOwner, type KeyLookup, keySchemes } from './project-key.ts'

const permissions = permissionsOf('sender')

/** The ping key of a project. */
export function createPingKey(projects: KeyLookup): Authenticator {
  return {
    name: 'ping-key',
    permissions,
    rateScope: 'management',
    schemes: keySchemes,
    wrong: 'wrong api key',
    async authenticate(request) {
      if (givenKey(request).length !== 22) return null
      const owner = await findOwner(request, projects)
      if (owner === null) return null
      if ('later' in owner) return owner.later
      if (owner.kind !== 'ping_key') return null
      return { kind: 'ping-key', label: owner.kind, projectIds: [owner.projectId], permissions }
    },
  }
}
