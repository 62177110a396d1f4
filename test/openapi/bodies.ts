// The bodies that a schema describes, in a fixed order and not at random: the smallest, the complete one, and the
// smallest with each value at a limit of its field.

import fc from 'fast-check'
import type { Schema } from './requests.ts'

/** Values of fields that a schema cannot describe completely: references to objects, and expressions. */
export type Real = (field: string) => readonly unknown[] | undefined

const typicalText = 'Año 2️⃣ <b>&"😀'
const longText = 'x'.repeat(3000)
const whereNoLimit = [1, 0, -1, 2 ** 31 - 1]
const fewItems = 1000

/** `field` is the path of names that leads to the value, with a dot between. The first is the most usual. */
export function valuesOf(schema: Schema, real: Real, field = ''): unknown[] {
  const given = real(field)
  if (given !== undefined) return [...given]
  if (schema.allOf?.[0]) return valuesOf(schema.allOf[0], real, field)
  const variants = schema.anyOf ?? schema.oneOf
  if (variants) return variants.flatMap((one) => valuesOf(one, real, field))
  if (schema.enum) return schema.enum
  if (schema.const !== undefined) return [schema.const]
  return [schema.type ?? []].flat().flatMap((type) => ofType(type, schema, real, field))
}

function ofType(type: string, schema: Schema, real: Real, field: string): unknown[] {
  if (type === 'object') return objects(schema, real, field)
  if (type === 'array') return arrays(schema, real, field)
  if (type === 'string') return texts(schema)
  if (type === 'boolean') return [true, false]
  if (type === 'null') return [null]
  const { minimum, maximum } = schema
  const edges = [
    ...(minimum === undefined ? whereNoLimit : [minimum + (type === 'integer' ? 1 : 0.25), minimum]),
    ...(maximum === undefined ? [2 ** 31 - 1] : [maximum]),
  ]
  return [...new Set(edges)].filter((n) => n >= (minimum ?? n) && n <= (maximum ?? n))
}

function objects(schema: Schema, real: Real, field: string): object[] {
  const { properties = {}, required = [], minProperties = 0 } = schema
  const all = Object.entries(properties).map(
    ([name, one]) => [name, valuesOf(one, real, field === '' ? name : `${field}.${name}`)] as const,
  )
  const possible = all.filter(([, values]) => values.length > 0)
  const whole = Object.fromEntries(possible.map(([name, values]) => [name, values[0]]))
  const smallest = Object.fromEntries(Object.entries(whole).filter(([name]) => required.includes(name)))
  const each = possible.flatMap(([name, values]) => values.map((value) => ({ ...smallest, [name]: value })))
  return [smallest, whole, ...each].filter((one) => Object.keys(one).length >= minProperties)
}

function arrays(schema: Schema, real: Real, field: string): unknown[][] {
  const { items = {}, minItems = 0, maxItems = 3, uniqueItems = false } = schema
  const values = valuesOf(items, real, field)
  const most = Math.min(maxItems, fewItems, uniqueItems ? values.length : maxItems)
  const longest = Array.from({ length: most }, (_, i) => values[i % values.length])
  return [...values.map((one) => [one]), longest, []].filter(({ length }) => length >= minItems && length <= maxItems)
}

/** Lengths count characters and not the units of UTF-16. */
function texts({ pattern, minLength = 0, maxLength }: Schema): string[] {
  const rule = pattern === undefined ? null : new RegExp(pattern)
  const long = maxLength === undefined ? [longText] : ['x', '😀'].map((one) => one.repeat(maxLength))
  const matching = rule === null ? [] : fc.sample(fc.stringMatching(rule), { seed: 1, numRuns: 3 })
  const short = ['x', '0'].map((one) => one.repeat(minLength))
  return [...new Set([...matching, typicalText, ...long, ...short])].filter((text) => {
    const { length } = [...text]
    return length >= minLength && length <= (maxLength ?? length) && (rule?.test(text) ?? true)
  })
}
