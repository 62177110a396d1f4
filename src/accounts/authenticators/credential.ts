// Where requests carry their credentials. No other file reads one.

import type { FastifyRequest } from 'fastify'
import { sameSecret } from '../keys.ts'

/** A key or a token: from a header, or else from the body if the call accepts it there. */
export function givenKey(request: FastifyRequest): string {
  const header = request.headers['x-api-key']
  if (typeof header === 'string' && header !== '') return header
  return keyMayBeInBody(request) ? keyInBody(request) : bearerToken(request)
}

/** Whether the key can only be in the body, as in a POST to Healthchecks' API without a header for it. */
export function keyMayBeInBody({ routeOptions, headers }: FastifyRequest): boolean {
  return routeOptions.config.keyInBody === true && !headers['x-api-key'] && !headers.authorization
}

export function bearerToken(request: FastifyRequest): string {
  return /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

/** Compares all of them, whatever the result of the first. */
export function isOneOf(given: string, secrets: readonly (string | undefined)[]): boolean {
  return secrets.filter((secret) => secret !== undefined && sameSecret(given, secret)).length > 0
}

/** Empty before the body has been read. */
function keyInBody(request: FastifyRequest): string {
  const key = (request.body as { api_key?: unknown } | null | undefined)?.api_key
  return typeof key === 'string' ? key : ''
}
