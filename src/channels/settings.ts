// Settings of a channel as people write and read them: validated by the transport's schema, and with masked secrets. A
// mask that is sent back unchanged keeps the stored secret, as long as every address keeps its origin.

import type { TSchema } from 'typebox'
import { Errors } from 'typebox/value'
import type { SettingsProblem, Transport } from './wire/transport.ts'

const mask = '********'
const partsMax = 100
const lengthMax = 10_000
const nameShownMax = 100

type Annotated = {
  secret?: true | 'url'
  rule?: string
  url?: true
  maxItems?: number
  maxProperties?: number
  maxLength?: number
  default?: string
  properties?: Record<string, Annotated>
  patternProperties?: Record<string, Annotated>
  items?: Annotated
}

/** The first broken rule; undefined if the settings are valid. */
export function settingsProblem(transport: Transport, settings: unknown): SettingsProblem | undefined {
  return (
    sizeProblem(transport.settings as Annotated, settings) ??
    schemaProblem(transport.settings, settings) ??
    addressProblem(transport.settings as Annotated, settings as Record<string, unknown>) ??
    transport.problem?.(settings as never)
  )
}

/**
 * Sizes are checked first: finding duplicates among a hundred thousand items takes time that grows with the square of
 * their number.
 */
function sizeProblem({ properties = {} }: Annotated, settings: unknown): SettingsProblem | undefined {
  if (typeof settings !== 'object' || settings === null) return undefined
  const entries = Object.entries(settings)
  for (const [field, value] of entries) {
    const { maxItems = partsMax, maxProperties = partsMax, maxLength = lengthMax } = properties[field] ?? {}
    const more = (max: number, of: string) => ({ field, rule: `must not have more than ${max} ${of}` })
    if (Array.isArray(value)) {
      if (value.length > maxItems) return more(maxItems, 'items')
    } else if (typeof value === 'object' && value !== null) {
      if (Object.keys(value).length > maxProperties) return more(maxProperties, 'properties')
    } else if (typeof value === 'string' && value.length > maxLength) return more(maxLength, 'characters')
    // No schema has that many fields, so at least one is unknown.
    if (entries.length > partsMax && !Object.hasOwn(properties, field))
      return { field: field.slice(0, nameShownMax), rule: 'is not a known field' }
  }
  return undefined
}

/** A pattern finds what cannot be an address, but does not say which host is invalid. */
function addressProblem(
  { properties = {} }: Annotated,
  settings: Record<string, unknown>,
): SettingsProblem | undefined {
  for (const [field, { url, rule = '' }] of Object.entries(properties)) {
    const text = settings[field]
    if (url && typeof text === 'string' && !URL.canParse(text)) return { field, rule }
  }
  return undefined
}

function schemaProblem(schema: TSchema, settings: unknown): SettingsProblem | undefined {
  // An unknown field is reported twice, and the less helpful message comes first.
  const error = Errors(schema, settings).find(({ keyword }) => keyword !== 'boolean')
  if (error === undefined) return undefined
  const params = error.params as {
    additionalProperties?: string[]
    requiredProperties?: string[]
    allowedValues?: unknown[]
  }
  const path = error.instancePath.slice(1).split('/').filter(Boolean)
  const field = path.join('.')
  const below = (name: string | undefined) => [...path, name].filter(Boolean).join('.')
  if (params.additionalProperties) return { field: below(params.additionalProperties[0]), rule: 'is not a known field' }
  if (params.requiredProperties) return { field: below(params.requiredProperties[0]), rule: 'is required' }
  if (params.allowedValues) return { field, rule: `must be one of ${params.allowedValues.join(', ')}` }
  const stated = error.keyword === 'pattern' ? annotationAt(schema as Annotated, path)?.rule : undefined
  return { field, rule: stated ?? error.message }
}

function annotationAt(schema: Annotated, path: readonly string[]): Annotated | undefined {
  return path.reduce<Annotated | undefined>((at, name) => at && inner(at, name), schema)
}

function inner({ properties, patternProperties, items }: Annotated, name: string): Annotated | undefined {
  return properties?.[name] ?? Object.values(patternProperties ?? {})[0] ?? items
}

/** An address that is a secret keeps its origin, so that people can distinguish channels. */
export function masked(transport: Transport, settings: unknown): unknown {
  return mapped(transport.settings as Annotated, settings, (schema, value) => maskOf(schema, value))
}

/**
 * The given settings, with each mask replaced by the secret in `stored`. If an address has another origin than before,
 * no mask is replaced: a caller who may change a channel must not learn its secrets by having them sent elsewhere.
 */
export function unmasked(transport: Transport, given: unknown, stored: unknown): unknown {
  if (leadsElsewhere(transport.settings as Annotated, given, stored)) return given
  return mapped(transport.settings as Annotated, given, (schema, value, path) => {
    const old = path.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], stored)
    return old !== undefined && value === maskOf(schema, old) ? old : value
  })
}

function leadsElsewhere({ properties = {} }: Annotated, given: unknown, stored: unknown): boolean {
  const originOf = (settings: unknown, field: string, fallback: string | undefined) => {
    const text = (settings as Record<string, unknown> | null | undefined)?.[field] ?? fallback
    return typeof text !== 'string' || text === '' ? undefined : (URL.parse(text)?.origin ?? text)
  }
  return Object.entries(properties).some(([field, { url, secret, default: fallback }]) => {
    if (!url && secret !== 'url') return false
    const origin = originOf(given, field, fallback)
    return origin !== undefined && origin !== originOf(stored, field, fallback)
  })
}

/** A mask that was not replaced, for example because an address was changed, would be stored as the secret. */
export function maskProblem(transport: Transport, settings: unknown): SettingsProblem | undefined {
  const left: string[] = []
  mapped(transport.settings as Annotated, settings, (_schema, value, path) => {
    if (typeof value === 'string' && value.includes(mask)) left.push(path.join('.'))
    return value
  })
  const [field] = left
  return field === undefined
    ? undefined
    : { field, rule: `must be written in full: ${mask} keeps a secret only while every address stays the same` }
}

function maskOf(schema: Annotated, value: unknown): unknown {
  if (typeof value !== 'string' || value === '') return value
  const origin = schema.secret === 'url' ? URL.parse(value)?.origin : undefined
  return origin === undefined || origin === 'null' ? mask : `${origin}/${mask}`
}

/** Applies `change` to each secret value. */
function mapped(
  schema: Annotated,
  value: unknown,
  change: (schema: Annotated, value: unknown, path: string[]) => unknown,
  path: string[] = [],
): unknown {
  if (schema.secret !== undefined) return change(schema, value, path)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => {
      const below = inner(schema, name)
      return [name, below === undefined ? part : mapped(below, part, change, [...path, name])]
    }),
  )
}
