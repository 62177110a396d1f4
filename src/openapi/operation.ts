// How a call is described. The routes stay as they are: what Fastify validates is taken from them, and the rest, above all the examples, is
// here, under the method and address of each.

import type { TSchema } from 'typebox'

export const tags = {
  pings: 'Sending heartbeats',
  checks: 'Checks, in the shapes of the Healthchecks API',
  definitions: 'Checks as documents that people keep',
  channels: 'Where alerts go, and what became of them',
  badges: 'Pictures and metrics for pages and dashboards',
  projects: 'Tenants and their keys',
  service: 'The service itself: probes, metrics, operation',
} as const

type Content = Record<string, { schema: TSchema | object; example: unknown }>
export type Answer = { description: string; content?: Content }

export type Operation = {
  /** Unique, and what generated clients call it. */
  id: string
  tag: keyof typeof tags
  summary: string
  description?: string
  /** Properties of the path and of the query by name, where the route has no schema of its own. */
  path?: Record<string, Parameter>
  query?: Record<string, Parameter>
  /** The schema only where the route has none. */
  body?: { schema?: TSchema | object; example: unknown }
  answers: Record<number, Answer>
  deprecated?: boolean
}

export type Parameter = { type: 'string' | 'integer' | 'array'; description: string; example: unknown } & Record<
  string,
  unknown
>

/** By `METHOD /address` as it is registered; several methods of one route are joined by commas. */
export type Operations = Record<string, Operation>

export const ref = (name: string) => ({ $ref: `${name}#` })

export const json = (description: string, schema: TSchema | object, example: unknown): Answer => ({
  description,
  content: { 'application/json': { schema, example } },
})

export const text = (description: string, example: string, type = 'text/plain'): Answer => ({
  description,
  content: { [type]: { schema: { type: 'string' }, example } },
})

export const nothing = (description: string): Answer => ({ description })

/** Healthchecks' own calls say less in their errors than ours do. */
export function refusals(dialect: 'ours' | 'healthchecks', ...statuses: number[]): Record<number, Answer> {
  return Object.fromEntries(statuses.map((status) => [status, refusal(dialect, status)]))
}

const ours: Record<number, [description: string, example: object]> = {
  400: [
    'A value is missing, unknown or breaks a rule',
    { error: 'name is required', code: 'bad_request', field: 'name' },
  ],
  401: ['No key, or one that may not make this call', { error: 'wrong api key', code: 'unauthorized' }],
  403: [
    'The project is not that of the key, or has as much as its quota allows (`quota_exceeded`, with `limit`)',
    { error: 'project is another than that of the key', code: 'forbidden', field: 'project' },
  ],
  404: ['There is no such object', { error: 'not found', code: 'not_found' }],
  409: [
    'The object is not in the state that the call needs',
    { error: 'ping_key belongs to another project', code: 'conflict', field: 'ping_key' },
  ],
  410: ['It was good for a time that is over', { error: 'this link is too old', code: 'gone' }],
  413: ['The body is too long', { error: 'Request body is too large', code: 'payload_too_large' }],
  429: [
    'Too many calls; Retry-After says when to try again',
    { error: 'too many calls: at most 6000 a minute', code: 'too_many_requests' },
  ],
  503: [
    'Too much is under way; Retry-After says when to try again',
    { error: 'too much is being sent, try again shortly', code: 'unavailable' },
  ],
}

const theirs: Record<number, Answer> = {
  400: json('A value breaks a rule; the first one, in the words of Healthchecks', ref('HealthchecksError'), {
    error: 'json validation error: timeout is too small',
  }),
  401: json('No key, or one that may not make this call', ref('HealthchecksError'), { error: 'wrong api key' }),
  403: json('The project has as many checks as its quota allows', ref('Error'), {
    error: 'quota exceeded: this project may have at most 1000 checks',
    code: 'quota_exceeded',
    field: 'checks',
    limit: 1000,
  }),
  404: nothing('There is no such check'),
  409: text('The check is not in the state that the call needs', 'check is not paused'),
  429: json('Too many calls; Retry-After says when to try again', ref('HealthchecksError'), {
    error: 'too many calls: at most 6000 a minute',
  }),
}

/** What any call with a key may be answered. */
export const unavailable: Answer = {
  description: 'Starting, overloaded, or without its database; Retry-After says when to try again',
  content: {
    'application/json': {
      schema: { anyOf: [ref('Error'), ref('HealthchecksError')] },
      example: { error: 'Flatline is overloaded, try again shortly' },
    },
  },
}

function refusal(dialect: 'ours' | 'healthchecks', status: number): Answer {
  const known = dialect === 'healthchecks' ? theirs[status] : undefined
  if (known) return known
  const [description, example] = ours[status] as [string, object]
  return json(description, ref('Error'), example)
}
