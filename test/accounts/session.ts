// A way to authenticate that the service does not have: a cookie, which names a person.

import { type Permission, permissionsOf } from '../../src/core/permissions.ts'
import type { Authenticator } from '../../src/http/admission/authenticator.ts'

export type People = Record<string, { name: string; projectId: string; permissions: readonly Permission[] }>

const wrong = 'wrong session'

export function createSession(people: People): Authenticator {
  return {
    name: 'session',
    permissions: permissionsOf('editor'),
    rateScope: 'management',
    schemes: { session: { type: 'apiKey', in: 'cookie', name: 'session', description: 'Of a person' } },
    wrong,
    authenticate({ headers }) {
      const cookie = /^session=(\w+)$/.exec(headers.cookie ?? '')?.[1]
      if (cookie === undefined) return null
      const person = people[cookie]
      if (person === undefined) return { reason: 'wrong_token', code: 'unauthorized', message: wrong }
      const { name, projectId, permissions } = person
      return { kind: 'session', label: name, projectIds: [projectId], permissions }
    },
  }
}
