// A secret of the configuration, and its predecessor while it is being replaced.

import type { FastifyRequest } from 'fastify'
import type { AuthRefusal, Principal } from '../../http/admission/authenticator.ts'
import { givenKey, isOneOf } from './credential.ts'

export const wrongToken = 'wrong token'

export function checkToken(
  request: FastifyRequest,
  tokens: readonly (string | undefined)[],
  principal: Principal,
): Principal | AuthRefusal {
  const given = givenKey(request)
  if (given === '') return { reason: 'missing', code: 'unauthorized', message: 'missing token' }
  if (!isOneOf(given, tokens)) return { reason: 'wrong_token', code: 'unauthorized', message: wrongToken }
  return principal
}
