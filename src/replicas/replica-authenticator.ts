// Another replica. Each stores the hash of its token in the database, and authenticates with the token at other replicas
// when it cannot reach the database.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { BlindTime } from '../blind-time/service.ts'
import { permissionsOf } from '../core/permissions.ts'
import type { Authenticator } from '../http/admission/authenticator.ts'
import { isUuid } from '../kit/identifier.ts'

const wrong = 'wrong token'
const permissions = permissionsOf('replica')

/** The token of the replica whose id is in the address. */
export function createReplicaAuthenticator({ tokenHashOf }: Pick<BlindTime, 'tokenHashOf'>): Authenticator {
  return {
    name: 'replica-token',
    permissions,
    rateScope: null,
    schemes: {},
    wrong,
    async authenticate({ params, headers }) {
      const { id } = params as { id: string }
      const token = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
      const expected = isUuid(id) ? await tokenHashOf(id) : null
      const given = createHash('sha256').update(token).digest()
      if (expected === null || !timingSafeEqual(given, Buffer.from(expected, 'hex')))
        return { reason: 'wrong_token', code: 'unauthorized', message: wrong }
      return { kind: 'replica-token', label: `replica ${id}`, projectIds: [], permissions }
    },
  }
}
