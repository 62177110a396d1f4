// The document that the running service serves, with its references replaced by what they mean.

import assert from 'node:assert/strict'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Errors } from 'typebox/value'
import type { Running } from '../helper.ts'

type Media = { schema: object; example?: unknown; examples?: Record<string, { value: unknown }> }
export type Operation = {
  operationId: string
  summary: string
  tags: string[]
  security: object[]
  parameters?: { name: string; in: string; required?: boolean; schema: object; example?: unknown }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { description: string; content?: Record<string, Media> }>
}
export type Document = { paths: Record<string, Record<string, Operation>> }

export async function documentOf({ call }: Running): Promise<Document> {
  const validator = new Validator()
  const result = await validator.validate((await call('GET', '/api/openapi.json', undefined, {})).json())
  assert.deepEqual([result.valid, result.errors], [true, undefined])
  return validator.resolveRefs() as unknown as Document
}

export const operationsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      operation,
    })),
  )

/** What of an example or answer breaks its schema. */
export function problems(schema: object, value: unknown): string[] {
  return Errors(schema as never, value).map(({ instancePath, message }) => `${instancePath} ${message}`)
}
