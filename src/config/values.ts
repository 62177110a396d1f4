// Converts what a person wrote, in a variable or in a profile file, into the value that the program uses. A refusal is
// a string that states the rule; it quotes the written text only if that cannot be a secret or a URL with credentials.
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { Errors } from 'typebox/value'
import type { LeafSchema, Setting } from './schema.ts'

export type ParsedSetting = { value: unknown } | { problem: string }

/** Reads one setting strictly: text is parsed by the setting's type, anything else must already have that type. */
export function readValue(setting: Setting, written: unknown, cwd: string): ParsedSetting {
  const parsed = typeof written === 'string' ? parseText(setting, written) : { value: withDurations(written) }
  if ('problem' in parsed) return parsed
  const problem = brokenRule(setting, parsed.value)
  if (problem) return { problem: quoted(setting, written) + problem }
  const { reading } = setting.schema
  return reading ? shapes[reading as keyof typeof shapes](parsed.value as never, cwd) : parsed
}

/** The 64 hex digits of 32 bytes written as hex, base64 or base64url; undefined for anything else. */
export function keyHex(text: string): string | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase()
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64').toString('hex')
  return undefined
}

/** The first rule that a value breaks, with the place within it if the value has parts. */
function brokenRule({ schema }: Setting, value: unknown): string | undefined {
  // An unknown field is reported twice, and the less helpful message comes first.
  const error = Errors(schema, value).find(({ keyword }) => keyword !== 'boolean')
  if (error === undefined) return undefined
  const { additionalProperties = [] } = error.params as { additionalProperties?: string[] }
  const place = [...error.instancePath.split('/').slice(1), ...additionalProperties.slice(0, 1)].join('.')
  const rule = additionalProperties.length > 0 ? 'is not a known field' : (schema.rule ?? error.message)
  return schema.type === 'object' && place !== '' ? `${place} ${rule}` : rule
}

function parseText(setting: Setting, text: string): ParsedSetting {
  const { schema } = setting
  if (schema.enum) return parseChoice(setting, schema.enum, text)
  if (schema.type === 'boolean') return parseBoolean(setting, text)
  if (schema.type === 'integer')
    return setting.path.endsWith('Ms') ? parseDuration(setting, text) : parseInteger(setting, text)
  if (schema.type === 'number') return parseNumber(setting, text)
  if (schema.type === 'array') return parseList(text)
  if (schema.type === 'object') return parseJson(text)
  return { value: text }
}

function parseChoice(setting: Setting, choices: string[], text: string): ParsedSetting {
  const word = text.toLowerCase()
  const value = setting.schema.synonyms?.[word] ?? word
  return choices.includes(value)
    ? { value }
    : { problem: `${quoted(setting, text)}must be one of ${choices.join(', ')}` }
}

function parseBoolean(setting: Setting, text: string): ParsedSetting {
  if (/^(true|1|yes)$/i.test(text)) return { value: true }
  if (/^(false|0|no)$/i.test(text)) return { value: false }
  return { problem: `${quoted(setting, text)}must be true, false, 1, 0, yes or no` }
}

function parseInteger(setting: Setting, text: string): ParsedSetting {
  return /^-?\d+$/.test(text) ? { value: Number(text) } : { problem: `${quoted(setting, text)}must be an integer` }
}

function parseNumber(setting: Setting, text: string): ParsedSetting {
  return /^-?\d+(\.\d+)?$/.test(text)
    ? { value: Number(text) }
    : { problem: `${quoted(setting, text)}must be a number` }
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function parseDuration(setting: Setting, text: string): ParsedSetting {
  const value = durationMs(text)
  if (value !== undefined) return { value }
  return { problem: `${quoted(setting, text)}must be milliseconds or a duration such as 30s, 5m, 1h or 2d` }
}

function durationMs(text: string): number | undefined {
  const match = /^(\d+)(ms|s|m|h|d)?$/.exec(text)
  return match ? Number(match[1]) * unitMs[(match[2] ?? 'ms') as keyof typeof unitMs] : undefined
}

/** Times within an object are written like all other times. */
function withDurations(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const read = ([key, inner]: [string, unknown]): [string, unknown] =>
    key.endsWith('Ms') && typeof inner === 'string' ? [key, durationMs(inner) ?? inner] : [key, withDurations(inner)]
  return Object.fromEntries(Object.entries(value).map(read))
}

function parseJson(text: string): ParsedSetting {
  try {
    return { value: withDurations(JSON.parse(text)) }
  } catch {
    return { problem: 'must be JSON' }
  }
}

function parseList(text: string): ParsedSetting {
  if (text.trimStart().startsWith('[')) {
    try {
      return { value: JSON.parse(text) }
    } catch {
      return { problem: 'must be a comma-separated list or a JSON array' }
    }
  }
  const items = text.split(',').map((item) => item.trim())
  return items.includes('') ? { problem: 'must be a comma-separated list without empty items' } : { value: items }
}

// Rules that a type cannot express. Each function gets a value of the right type and returns the value to keep.
const shapes = {
  directory: (path: string, cwd: string): ParsedSetting => ({ value: resolve(cwd, path) }),

  siteUrl(text: string): ParsedSetting {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (!url || !/^https?:$/.test(url.protocol)) return { problem: 'must be an http:// or https:// URL' }
    if (url.username || url.password || url.search || url.hash) {
      return { problem: 'must be a URL without credentials, query or fragment' }
    }
    return { value: url.origin + url.pathname.replace(/\/+$/, '') }
  },

  databaseUrl(text: string): ParsedSetting {
    if (!/^postgres(ql)?:\/\//.test(text)) return { problem: 'must be a postgres:// or postgresql:// URL' }
    return databaseTarget(text) ? { value: text } : { problem: 'is not a valid URL (is the password percent-encoded?)' }
  },

  addresses(items: string[]): ParsedSetting {
    const wrong = items.find((item) => !isProxyAddress(item))
    if (wrong === undefined) return { value: items }
    return {
      problem: `${JSON.stringify(wrong.slice(0, 60))} is not an address, a CIDR range, loopback, linklocal or uniquelocal`,
    }
  },

  encryptionKeys(items: string[]): ParsedSetting {
    const keys = items.map(keyHex)
    if (keys.length === 0 || keys.includes(undefined)) {
      return { problem: 'must be 32 bytes as 64 hex digits or base64, or a comma list of such keys' }
    }
    return new Set(keys).size === keys.length ? { value: keys } : { problem: 'names the same key twice' }
  },
} satisfies Record<string, (value: never, cwd: string) => ParsedSetting>

function isProxyAddress(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const version = address.includes('%') ? 0 : isIP(address)
  if (version === 0 || rest.length > 0) return false
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

export type DatabaseTarget = { remote: boolean; encrypted: boolean; password: string }

/** A connection string as the driver will read it; undefined if the driver could not read it. */
export function databaseTarget(text: string): DatabaseTarget | undefined {
  // Like the driver: an empty host is legal, `host` may be a parameter (a socket's directory), and the last one wins.
  const url = [text, text.replace('@/', '@localhost/')]
    .filter((candidate) => URL.canParse(candidate))
    .map((u) => new URL(u))[0]
  if (!url) return undefined
  const parameter = (name: string) => url.searchParams.getAll(name).at(-1)
  const host = parameter('host') || decoded(url.hostname)
  const password = parameter('password') || decoded(url.password)
  if (host === undefined || password === undefined || decoded(url.username) === undefined) return undefined
  const local = host === '' || host.startsWith('/') || /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host)
  const encrypted = ['require', 'verify-ca', 'verify-full'].includes(parameter('sslmode') ?? '')
  return { remote: !local, encrypted, password }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function quoted(setting: { secret: boolean; schema: LeafSchema }, written: unknown): string {
  const { reading, type } = setting.schema
  if (setting.secret || reading || type === 'object' || typeof written === 'object') return ''
  return `${JSON.stringify(written).slice(0, 60)} `
}
