// Converts the schema and the requirement of a route into the input of @fastify/swagger.

import type { FastifySchema, RouteOptions } from 'fastify'
import { isPermission, type Requirement } from '../core/permissions.ts'
import type { Authenticator, SecurityScheme } from '../http/admission/authenticator.ts'

export const tags = {
  pings: 'Sending heartbeats',
  checks: 'Checks, in the shapes of the Healthchecks API',
  definitions: 'Checks as documents, for files',
  channels: 'Destinations of alerts, and their deliveries',
  badges: 'Badges and metrics of checks, for pages and dashboards',
  projects: 'Tenants and their keys',
  service: 'The service itself: probes, metrics, operation',
} as const

/** The most common first: the key of a project, which is asked last. */
const usualFirst = (authenticators: readonly Authenticator[]) => authenticators.toReversed()

export function securitySchemesOf(authenticators: readonly Authenticator[]): Record<string, SecurityScheme> {
  return Object.assign({}, ...usualFirst(authenticators).map(({ schemes }) => schemes))
}

/** The security schemes of a route: any one of them is enough. */
function securityOf(requires: Requirement, authenticators: readonly Authenticator[]): Record<string, string[]>[] {
  if (!isPermission(requires)) return []
  const accepting = authenticators.filter(({ permissions }) => permissions.includes(requires))
  const schemes = Object.keys(securitySchemesOf(accepting)).map((name) => ({ [name]: [] }))
  return accepting.some(({ isOptional }) => isOptional) ? [{}, ...schemes] : schemes
}

/** The answer that any call with a key may get. */
const unavailable = {
  description: 'Starting, overloaded, or without its database; Retry-After says when to try again',
  content: {
    'application/json': {
      schema: { anyOf: [{ $ref: 'Error#' }, { $ref: 'HealthchecksError#' }] },
      example: { error: 'Flatline is overloaded, try again shortly' },
    },
  },
}

/** A route whose schema has no operationId is not in the document, and neither is the second form of an address. */
export function describe(
  route: RouteOptions,
  authenticators: readonly Authenticator[],
): { schema: FastifySchema; url: string } {
  const { schema, url, config: { requires = 'public', undocumented } = {} } = route
  if (schema?.operationId === undefined || undocumented) return { schema: { hide: true }, url }
  const { operationId, refusals, response, described, ...own } = schema
  const security = securityOf(requires, authenticators)
  // A key in the address is not a header.
  const isInPath = url.endsWith('/:key')
  const whole = {
    ...own,
    ...described,
    security: isInPath ? [] : security,
    response: { ...(security.length > 0 && { 503: unavailable }), ...refusals, ...(response as object) },
    'x-operation': operationId,
  }
  return { schema: whole as FastifySchema, url: url.replace(/\*$/, ':file') }
}

type Described = { 'x-operation'?: string; operationId?: string }

/** Gives each method of a call its own name. */
export function nameOperations(document: object): object {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Described>> }
  const taken = new Set<string>()
  for (const path of Object.values(paths)) {
    for (const [method, operation] of Object.entries(path)) {
      const { 'x-operation': id = method, ...rest } = operation
      const operationId = taken.has(id) ? `${id}By${method[0]?.toUpperCase()}${method.slice(1)}` : id
      taken.add(operationId)
      // A copy, because the methods of one route share the object.
      path[method] = { operationId, ...rest }
    }
  }
  return document
}
