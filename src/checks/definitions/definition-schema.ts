// Validates a definition. Its fields have the rules of the API. Unknown fields are refused: otherwise a misspelt field
// would silently leave a setting at its default.

import { AppError } from '../../core/errors.ts'
import { isUuid } from '../../kit/identifier.ts'
import { defaultSettings } from '../fields/fields.ts'
import { parseCheck, rules } from '../fields/schema.ts'
import type { Definition } from './definition.ts'

/** Fields of the API that a document writes differently, or does not have. */
const elsewhere = ['channels', 'unique', 'subject', 'subject_fail', 'parent']
const own = ['uuid', 'badge_key', 'parent', 'channels', 'paused']
const known = [...own, ...Object.keys(rules).filter((field) => !elsewhere.includes(field))]

/** Names are shorter: 100 characters, of two units each. */
const textMax = 200
const channelsMax = 1000

/** Throws AppError('bad_request') that names the field and the rule. */
export function parseDefinition(value: unknown): Definition {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('', 'is not an object')
  const values = value as Record<string, unknown>
  const unknownField = Object.keys(values).find((field) => !known.includes(field))
  if (unknownField !== undefined) throw refused(unknownField, 'is not a known field')
  const { uuid = null, badge_key = null, parent = null, channels, paused, ...rest } = values
  for (const [field, id] of Object.entries({ uuid, badge_key }))
    if (id !== null && !(typeof id === 'string' && isUuid(id))) throw refused(field, 'is not a uuid')
  if (parent !== null && typeof parent !== 'string') throw refused('parent', 'is not a string')
  if (parent !== null && parent.length > textMax) throw refused('parent', 'is too long')
  if (paused !== undefined && typeof paused !== 'boolean') throw refused('paused', 'is not a boolean')
  if (channels !== undefined && channels !== '*' && !isTexts(channels))
    throw refused('channels', `is not "*" or a list of channels, by id or name, at most ${channelsMax}`)
  const { parent: _none, pausedUntil: _unchanged, ...defaults } = defaultSettings
  return {
    uuid: uuid as string | null,
    badgeKey: badge_key as string | null,
    parent,
    channels: channels as Definition['channels'],
    paused,
    settings: { ...defaults, ...readSettings(rest) },
  }
}

function readSettings(values: Record<string, unknown>) {
  try {
    const { parent: _none, ...settings } = parseCheck(values, 3).settings
    return settings
  } catch (error) {
    // The API's own texts begin with the words of Healthchecks.
    if (error instanceof AppError)
      throw new AppError(error.code, error.message.replace('json validation error: ', ''), { field: error.field ?? '' })
    throw error
  }
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= channelsMax &&
  value.every((item) => typeof item === 'string' && item.length <= textMax)

const refused = (field: string, rule: string) => new AppError('bad_request', `${field} ${rule}`.trim(), { field })
