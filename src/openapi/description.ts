// From what is written of a call, and what its route knows, to what @fastify/swagger makes the document of.

import type { FastifySchema, RouteOptions } from 'fastify'
import type { Access } from '../http/access.ts'
import { type Operation, type Operations, type Parameter, unavailable } from './operation.ts'

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
  'write or ping': [{ apiKey: [] }, { bearer: [] }],
}

export function nameOf({ method, url }: Pick<RouteOptions, 'method' | 'url'>): string {
  return `${[method].flat().join(',')} ${url}`
}

/** A route whose schema has no operationId is not in the document, and neither is the second form of an address. */
export function describe(
  { schema, url, route }: { schema: FastifySchema | undefined; url: string; route: RouteOptions },
  operations: Operations,
): { schema: FastifySchema; url: string } {
  const { access = 'public', undocumented } = route.config ?? {}
  // A key in the address is no header.
  const isInPath = access === 'read-only' && url.endsWith(':key')
  const shared = {
    security: isInPath ? [] : security[access],
    always: access === 'public' || access === 'ping' ? {} : { 503: unavailable },
  }
  const legacy = operations[nameOf(route)]
  if (legacy !== undefined) return describeLegacy(schema, url, legacy, shared)
  if (schema?.operationId === undefined || undocumented) return { schema: { hide: true }, url }
  const { operationId, refusals, response, describedBody, ...own } = schema
  const described = {
    ...own,
    ...(describedBody !== undefined && { body: describedBody }),
    security: shared.security,
    response: { ...shared.always, ...refusals, ...(response as object) },
    'x-operation': operationId,
  }
  return { schema: described as FastifySchema, url: url.replace(/\*$/, ':file') }
}

function describeLegacy(
  schema: FastifySchema | undefined,
  url: string,
  operation: Operation,
  { security, always }: { security: Requirement[]; always: object },
): { schema: FastifySchema; url: string } {
  const { tag, summary, description, deprecated, answers, body, query, path } = operation
  const described = {
    tags: [tag],
    summary,
    ...(description && { description }),
    ...(deprecated && { deprecated }),
    security,
    ...(path && { params: parameters(withRules(path, schema?.params)) }),
    ...queryOf(schema, query),
    ...bodyOf(schema, body),
    response: answersOf({ ...always, ...answers }),
    'x-operation': operation.id,
  }
  return { schema: described as FastifySchema, url: url.replace(/\*$/, ':file') }
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

/** With the patterns and limits that the route itself holds a parameter to. */
function withRules(path: Record<string, Parameter>, params: unknown): Record<string, Parameter> {
  const { properties = {} } = (params ?? {}) as { properties?: Record<string, object> }
  return Object.fromEntries(
    Object.entries(path).map(([name, described]) => [name, { ...properties[name], ...described }]),
  )
}

function parameters(all: Record<string, Parameter>): object {
  const properties = Object.entries(all).map(([name, { example, ...schema }]) => [
    name,
    { ...schema, examples: [example] },
  ])
  return { type: 'object', properties: Object.fromEntries(properties), required: Object.keys(all) }
}

function queryOf(schema: FastifySchema | undefined, query: Operation['query']): FastifySchema {
  if (schema?.querystring) return { querystring: schema.querystring }
  return query ? { querystring: { ...parameters(query), required: [] } } : {}
}

function bodyOf(schema: FastifySchema | undefined, body: Operation['body']): FastifySchema {
  if (body === undefined) return {}
  const known = (body.schema ?? schema?.body) as object
  return { body: { content: { 'application/json': { schema: { allOf: [known], examples: [body.example] } } } } }
}

function answersOf(answers: Operation['answers']): Record<string, object> {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, content }]) => [
      status,
      content === undefined ? { description, type: 'null' } : { description, content },
    ]),
  )
}
