// From the schema and the access of a route to what @fastify/swagger makes the document of.

import type { FastifySchema, RouteOptions } from 'fastify'
import type { Access } from '../http/access.ts'

export const tags = {
  pings: 'Sending heartbeats',
  checks: 'Checks, in the shapes of the Healthchecks API',
  definitions: 'Checks as documents that people keep',
  channels: 'Where alerts go, and what became of them',
  badges: 'Pictures and metrics for pages and dashboards',
  projects: 'Tenants and their keys',
  service: 'The service itself: probes, metrics, operation',
} as const

export const securitySchemes = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: "A project's read-write or read-only key" },
  bearer: { type: 'http', scheme: 'bearer', description: 'The same key as a bearer token' },
  adminToken: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN' },
  metricsToken: { type: 'http', scheme: 'bearer', description: 'METRICS_TOKEN, where it is set' },
} as const

type Requirement = Partial<Record<keyof typeof securitySchemes, string[]>>

const keys: Requirement[] = [{ apiKey: [] }, { bearer: [] }]
const admin: Requirement[] = [{ adminToken: [] }]

const security: Record<Access, Requirement[]> = {
  public: [],
  ping: [],
  replica: [],
  metrics: [{}, { metricsToken: [] }],
  admin,
  read: keys,
  write: keys,
  'read-only': [{ bearer: [] }],
  'read or admin': [...keys, ...admin],
  'write or admin': [...keys, ...admin],
  'write or ping': keys,
}

/** Any call with a key may be answered this. */
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
export function describe(route: RouteOptions): { schema: FastifySchema; url: string } {
  const { schema, url, config: { access = 'public', undocumented } = {} } = route
  if (schema?.operationId === undefined || undocumented) return { schema: { hide: true }, url }
  const { operationId, refusals, response, described, ...own } = schema
  // A key in the address is no header.
  const isInPath = access === 'read-only' && url.endsWith(':key')
  const isOpen = access === 'public' || access === 'ping'
  const whole = {
    ...own,
    ...described,
    security: isInPath ? [] : security[access],
    response: { ...(!isOpen && { 503: unavailable }), ...refusals, ...(response as object) },
    'x-operation': operationId,
  }
  return { schema: whole as FastifySchema, url: url.replace(/\*$/, ':file') }
}

type Described = { 'x-operation'?: string; operationId?: string }

/** Each method of a call gets a name of its own. */
export function nameOperations(document: object): object {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Described>> }
  const taken = new Set<string>()
  for (const path of Object.values(paths)) {
    for (const [method, operation] of Object.entries(path)) {
      const { 'x-operation': id = method, ...rest } = operation
      const operationId = taken.has(id) ? `${id}By${method[0]?.toUpperCase()}${method.slice(1)}` : id
      taken.add(operationId)
      // A copy: the methods of one route share theirs.
      path[method] = { operationId, ...rest }
    }
  }
  return document
}
