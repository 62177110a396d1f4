import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

type Compiler = Parameters<FastifyInstance['setValidatorCompiler']>[0]

// One per process, not per app: they keep compiled schemas, and a second app, as in tests, has the same ones.
const build = AjvCompiler()
const options = { removeAdditional: false, useDefaults: true, allErrors: false } as const
const body = build({}, { customOptions: { ...options, coerceTypes: false } }) as unknown as Compiler
const text = build({}, { customOptions: { ...options, coerceTypes: true } }) as unknown as Compiler

/**
 * Unknown fields are refused, not dropped. A body is not coerced; a query string is text, which is coerced to the types
 * of the schema.
 */
export const validationPlugin = fp(
  async (app) => {
    app.setValidatorCompiler((route) => (route.httpPart === 'body' ? body(route) : text(route)))
  },
  { name: 'http-validation' },
)

/** For routes whose schemas only describe their input, because they validate it with other error texts. */
export const describedOnly = () => () => true
