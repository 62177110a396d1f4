// What the keys of projects have in common: where they may be, and how they are checked while the database is
// unavailable.

import type { FastifyRequest } from 'fastify'
import type { Principal, SecurityScheme } from '../../http/admission/authenticator.ts'
import { isDatabaseAway } from '../../kit/availability.ts'
import type { ProjectKey, Projects } from '../service.ts'
import { givenKey } from './credential.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served also while the database is away; then the project of the key is resolved before anything is recorded. */
    unverified?: boolean
  }
}

export type KeyLookup = Pick<Projects, 'authenticate' | 'hashOf'>

export const bearer: SecurityScheme = {
  type: 'http',
  scheme: 'bearer',
  description: 'The same key as a bearer token',
}

export const keySchemes: Readonly<Record<string, SecurityScheme>> = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: "A project's read-write or read-only key" },
  bearer,
}

/** The owner of the given key, null if there is none; or a principal whose key is looked up later, because it cannot be now. */
export async function findOwner(
  request: FastifyRequest,
  projects: KeyLookup,
): Promise<ProjectKey | { later: Principal } | null> {
  const key = givenKey(request)
  try {
    return await projects.authenticate(key)
  } catch (error) {
    if (!request.routeOptions.config.unverified || !isDatabaseAway(error)) throw error
    const keyHash = projects.hashOf(key)
    const permissions = ['heartbeats:write'] as const
    return { later: { kind: 'unverified', label: 'unverified', projectIds: [], permissions, keyHash } }
  }
}
