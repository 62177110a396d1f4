// Links in messages: the link itself is the credential of the person who opens it, and permits one thing.

import type { FastifyRequest } from 'fastify'
import type { Permission } from '../core/permissions.ts'
import type { Authenticator } from '../http/admission/authenticator.ts'

type LinkOptions<Params> = {
  name: string
  permission: Permission
  /** Names the caller in the audit log. */
  label: string
  /** Throws the answer to a link that is invalid or has expired. */
  verify: (params: Params) => unknown
}

export function createLinkAuthenticator<Params>({
  name,
  permission,
  label,
  verify,
}: LinkOptions<Params>): Authenticator {
  const permissions = [permission]
  return {
    name,
    permissions,
    rateScope: null,
    schemes: {},
    wrong: 'wrong link',
    isAddress: true,
    async authenticate({ params }: FastifyRequest) {
      await verify(params as Params)
      return { kind: name, label, projectIds: [], permissions }
    },
  }
}
