// Requests as the document describes them, and requests that break it.

import { request as send } from 'node:http'
import fc from 'fast-check'
import { patience, within } from '../patience.ts'
import type { Operation } from './described.ts'

export type Sent = { method: string; path: string; headers: Record<string, string>; body?: Buffer }
export type Answered = { status: number; headers: Record<string, string | string[] | undefined>; text: string }

export type Schema = {
  type?: string | string[]
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: Schema
  minItems?: number
  maxItems?: number
  properties?: Record<string, Schema>
  required?: string[]
  minProperties?: number
  uniqueItems?: boolean
}

const long = 'x'.repeat(70_000)
const hostileText = [
  ...[
    '',
    ' ',
    'a\0b',
    '\ud800',
    'a\udfff',
    '__proto__',
    'constructor',
    "';--",
    '\u202e',
    '2026-02-30T00:00:00Z',
    '😀'.repeat(200),
  ],
  ...['NaN', '-1', '0', '1e308', '99999999999999999999', 'true', 'null', '../..', '$NAME', '<b>', 'x'.repeat(300)],
]
const hostile: unknown[] = [
  ...hostileText,
  ...[long, null, true, false, -1, 0, 0.5, 1e308, 2 ** 31, 2 ** 53, [], [[]], {}, { a: { b: null } }, [null]],
]
/** As they stand in the address. */
const oddParts = [
  ...['%00', '..', '.', '%2e%2e', '%2F', '%2f..%2f', '%ff', '%', '%zz', '%ED%A0%80', '%20', '%0d%0a', "'", '-1', '0'],
  ...['a%00b', '%F0%9F%98%80', '9'.repeat(30), 'x'.repeat(101), 'x'.repeat(5000), '*', ':id', '%25', 'null', ''],
]
const oddQueries = ['%00', '%', '%ff', '', 'a&a', '%ED%A0%80', 'x'.repeat(3000), '%5B%5D', '-1', '1.5', '1e3', '%2B1']
const contentTypes = ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/json; charset=x']
const rawBodies = ['{', '{"a":', '[1,', '"', '\0', 'nul', '{"a":1}{"a":2}', `${'['.repeat(5000)}`, '\ufeff{}', ' ']
  .map((text) => Buffer.from(text))
  .concat(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))

/** Values that follow a schema, as far as types, enumerations, patterns and limits say. */
function valid(schema: Schema): fc.Arbitrary<unknown> {
  const variants = schema.anyOf ?? schema.oneOf
  if (schema.allOf?.[0]) return valid(schema.allOf[0])
  if (variants) return fc.oneof(...variants.map(valid))
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.const !== undefined) return fc.constant(schema.const)
  const types = [schema.type ?? 'any'].flat()
  return fc.oneof(...types.map((type) => ofType(type, schema)))
}

function ofType(type: string, schema: Schema): fc.Arbitrary<unknown> {
  const { minimum = -1000, maximum = 1_000_000, minLength = 0, minItems = 0, properties = {}, items = {} } = schema
  if (type === 'string') return textOf(schema, minLength)
  if (type === 'integer') return fc.integer({ min: minimum, max: Math.max(minimum, maximum) })
  if (type === 'number') return fc.double({ min: minimum, max: maximum, noNaN: true })
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  if (type === 'array')
    return fc.array(valid(items), {
      minLength: minItems,
      maxLength: Math.max(minItems, Math.min(3, schema.maxItems ?? 3)),
    })
  if (type === 'object')
    return fc.record(Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, valid(one)])), {
      requiredKeys: (schema.required ?? []).filter((name) => name in properties),
      noNullPrototype: true,
    })
  return fc.jsonValue()
}

function textOf({ pattern, maxLength = 60 }: Schema, minLength: number): fc.Arbitrary<string> {
  if (pattern === undefined) return fc.string({ minLength, maxLength: Math.min(maxLength, 60), unit: 'grapheme' })
  return fc.stringMatching(new RegExp(pattern)).filter(({ length }) => length >= minLength && length <= maxLength)
}

/** A valid body in which one value is made invalid. */
function broken(schema: Schema): fc.Arbitrary<unknown> {
  const one = fc.constantFrom(...hostile)
  const changed = fc.tuple(valid(schema), fc.nat(), one).map(([body, at, value]) => changeOne(body, at, value))
  return fc.oneof(one, changed, changed, changed)
}

function changeOne(body: unknown, at: number, value: unknown): unknown {
  if (Array.isArray(body)) return [...body, value]
  if (body === null || typeof body !== 'object') return value
  const names = [...Object.keys(body), 'unknown_field', 'name', 'a\0']
  const name = names[at % names.length] as string
  return at % 7 === 0
    ? Object.fromEntries(Object.entries(body).filter(([one]) => one !== name))
    : { ...body, [name]: value }
}

type Parts = { path: string; query: string; body?: Buffer; contentType?: string }

/** Requests of one operation. `known` gives existing ids for a path parameter, `adapt` keeps bodies from naming other hosts. */
export function requestsOf(
  path: string,
  operation: Operation,
  known: (path: string, name: string) => string[],
  adapt: (body: unknown) => unknown,
): fc.Arbitrary<Parts> {
  const parameters = operation.parameters ?? []
  const inPath = parameters.filter((one) => one.in === 'path')
  const parts = inPath.map(({ name, schema }) => {
    const ids = known(path, name)
    const proper = valid(schema).map((value) => encodeURIComponent(String(value)))
    const usual = ids.length === 0 ? proper : fc.oneof({ arbitrary: fc.constantFrom(...ids), weight: 3 }, proper)
    return fc.oneof({ arbitrary: usual, weight: 3 }, fc.constantFrom(...oddParts))
  })
  const queries = parameters.filter((one) => one.in === 'query').map(({ name, schema }) => queryOf(name, schema))
  const unknown = fc.constantFrom(...oddQueries.map((text) => `unknown=${text}`))
  const query = fc.oneof(
    { arbitrary: fc.tuple(...queries.map((one) => fc.option(one, { nil: '' }))), weight: 6 },
    unknown.map((one) => [one]),
  )
  return fc.tuple(fc.tuple(...parts), query, bodyOf(operation, adapt)).map(([values, query, body]) => {
    const filled = inPath.reduce((text, { name }, i) => text.replace(`{${name}}`, () => values[i] as string), path)
    const joined = query.filter(Boolean).join('&')
    return { path: filled, query: joined === '' ? '' : `?${joined}`, ...body }
  })
}

function queryOf(name: string, schema: Schema): fc.Arbitrary<string> {
  const proper = valid(schema).map((value) =>
    [value]
      .flat()
      .map((one) => `${name}=${encodeURIComponent(String(one).toWellFormed())}`)
      .join('&'),
  )
  const text = fc.constantFrom(...hostileText).map((one) => encodeURIComponent(one.toWellFormed()))
  const odd = fc.oneof(fc.constantFrom(...oddQueries), text).map((one) => `${name}=${one}`)
  return fc.oneof(
    { arbitrary: proper, weight: 2 },
    odd,
    fc.tuple(proper, odd).map((both) => both.join('&')),
  )
}

function bodyOf(
  operation: Operation,
  adapt: (body: unknown) => unknown,
): fc.Arbitrary<{ body?: Buffer; contentType?: string }> {
  const schema = operation.requestBody?.content['application/json']?.schema
  const type = 'application/json'
  const raw = fc.constantFrom(...rawBodies).map((body) => ({ body, contentType: type }))
  if (schema === undefined) return fc.oneof({ arbitrary: fc.constant({}), weight: 5 }, raw)
  // JSON writes half a surrogate as an escape, so that it arrives as it is.
  const json = (body: unknown) => ({ body: Buffer.from(JSON.stringify(adapt(body)) ?? 'null'), contentType: type })
  const proper = valid(schema).map(json)
  const typed = fc
    .tuple(proper, fc.constantFrom(...contentTypes))
    .map(([{ body }, contentType]) => ({ body, contentType }))
  return fc.oneof(
    { arbitrary: proper, weight: 4 },
    { arbitrary: broken(schema).map(json), weight: 5 },
    raw,
    typed,
    fc.constant({}),
  )
}

/** Sends a request unchanged: fetch would normalise `..` and does not support TRACE. */
export function exchange(url: string, { method, path, headers, body }: Sent): Promise<Answered> {
  const { hostname, port } = new URL(url)
  const answer = new Promise<Answered>((resolve, reject) => {
    const outgoing = send({ hostname, port, method, path, headers, timeout: patience(20_000) }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
  return within(`${method} ${path.slice(0, 100)}`, answer, 20_000)
}
