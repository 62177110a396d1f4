// What the schema of a route contains beyond its validation: answers with examples, and refusals. openapi/plugin.ts
// makes the description of the API from the schemas of the routes. An answer of 200 is also serialised by its schema.

import type { FastifyInstance } from 'fastify'
import { type TSchema, Type } from 'typebox'

type AnswerSchema = { description: string; content?: Record<string, { schema: object; example: unknown }> }
type Answers = Record<number, AnswerSchema>

declare module 'fastify' {
  interface FastifySchema {
    /** Answers of the error handler: they are described, but have no serialiser. */
    refusals?: Answers
    /**
     * The description shows this instead of the validated schema, on routes that Fastify does not validate, or not
     * completely.
     */
    described?: { params?: object; querystring?: object; body?: object }
  }
}

export const closed = { additionalProperties: false } as const

/** A value that can be null; the description says when. */
export const nullable = (description?: string) =>
  Type.Union([Type.String(), Type.Null()], description === undefined ? {} : { description })

/** Registers schemas under their names, for `ref`. */
export function shareSchemas(app: FastifyInstance, schemas: Record<string, TSchema>): void {
  for (const [name, schema] of Object.entries(schemas)) app.addSchema({ $id: name, ...schema })
  // When a schema is added, Fastify creates its own validator for the instance, which drops unknown fields.
  if (app.validatorCompiler) app.setValidatorCompiler(app.validatorCompiler)
}

/** A reference to a shared schema, with its type in the program. */
export const ref = <Value>(name: string) => Type.Unsafe<Value>({ $ref: `${name}#` })

/** For parameters and bodies. */
export function withExample<Schema extends TSchema>(schema: Schema, example: unknown, description?: string): Schema {
  // Properties beside a reference are ignored.
  const whole = '$ref' in schema ? { allOf: [schema] } : schema
  return { ...whole, ...(description !== undefined && { description }), examples: [example] } as unknown as Schema
}

export const json = <Schema extends TSchema>(description: string, schema: Schema, example: unknown) => ({
  description,
  content: { 'application/json': { schema, example } },
})

export const text = (description: string, example: string, type = 'text/plain') => ({
  description,
  content: { [type]: { schema: Type.String(), example } },
})

/** An answer without a body. */
export const nothing = (description: string) => ({ ...Type.Unsafe<unknown>({ type: 'null' }), description })

/** Refusals of Flatline's own calls, by status. */
export function refusals(...statuses: number[]): Answers {
  return Object.fromEntries(statuses.map((status) => [status, ours[status] as AnswerSchema]))
}

/** Refusals of the calls that Healthchecks also has, whose errors contain less. */
export function healthchecksRefusals(...statuses: number[]): Answers {
  return Object.fromEntries(statuses.map((status) => [status, theirs[status] as AnswerSchema]))
}

export const errorSchemas = {
  Error: Type.Object(
    {
      error: Type.String({ description: 'For people' }),
      code: Type.String({ description: 'For programs' }),
      field: Type.Optional(Type.String({ description: 'The field that is wrong' })),
      limit: Type.Optional(Type.Number({ description: 'The limit of the quota' })),
    },
    closed,
  ),
  HealthchecksError: Type.Object({ error: Type.String() }, closed),
}

const error = (description: string, example: object) => json(description, ref('Error'), example)
const healthchecksError = (description: string, message: string) =>
  json(description, ref('HealthchecksError'), { error: message })

const ours: Answers = {
  400: error('A value is missing, unknown or breaks a rule', {
    error: 'name is required',
    code: 'bad_request',
    field: 'name',
  }),
  401: error('No key, or one that may not make this call', { error: 'wrong api key', code: 'unauthorized' }),
  403: error(
    'The project is not that of the key, or has as much as its quota allows (`quota_exceeded`, with `limit`)',
    { error: 'project is another than that of the key', code: 'forbidden', field: 'project' },
  ),
  404: error('The object does not exist', { error: 'not found', code: 'not_found' }),
  409: error('The object is not in the state that the call needs', {
    error: 'ping_key belongs to another project',
    code: 'conflict',
    field: 'ping_key',
  }),
  410: error('The link has expired', { error: 'this link is too old', code: 'gone' }),
  413: error('The body is too long', { error: 'Request body is too large', code: 'payload_too_large' }),
  429: error('Too many calls; Retry-After says when to try again', {
    error: 'too many calls: at most 6000 a minute',
    code: 'too_many_requests',
  }),
  503: error('The service is overloaded; Retry-After says when to try again', {
    error: 'too much is being sent, try again shortly',
    code: 'unavailable',
  }),
}

const theirs: Answers = {
  400: healthchecksError(
    'A value breaks a rule; the first one, in the words of Healthchecks',
    'json validation error: timeout is too small',
  ),
  401: healthchecksError('No key, or one that may not make this call', 'wrong api key'),
  403: json('The project has as many checks as its quota allows', ref('Error'), {
    error: 'quota exceeded: this project may have at most 1000 checks',
    code: 'quota_exceeded',
    field: 'checks',
    limit: 1000,
  }),
  404: nothing('The check does not exist'),
  409: text('The check is not in the state that the call needs', 'check is not paused'),
  429: healthchecksError('Too many calls; Retry-After says when to try again', 'too many calls: at most 6000 a minute'),
}
