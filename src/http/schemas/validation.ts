import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

type Compiler = Parameters<FastifyInstance['setValidatorCompiler']>[0]

// Of the process, not of an app: they keep what they have compiled, and a second app, as in tests, has the same schemas.
const build = AjvCompiler()
const options = { removeAdditional: false, useDefaults: true, allErrors: false } as const
const body = build({}, { customOptions: { ...options, coerceTypes: false } }) as unknown as Compiler
const text = build({}, { customOptions: { ...options, coerceTypes: true } }) as unknown as Compiler

/** Unknown fields are refused, not dropped. A body means what it says; a query string is text and is read as the schema wants. */
export const validationPlugin = fp(
  async (app) => {
    app.setValidatorCompiler((route) => (route.httpPart === 'body' ? body(route) : text(route)))
  },
  { name: 'http-validation' },
)

/** Of routes whose schemas only describe what they take, because they check it in other words than ours. */
export const describedOnly = () => () => true
