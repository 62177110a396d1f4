// Options of commands as tables: a row says what a value means, and from it derive how it is read and how help shows it.

import { parseArgs } from 'node:util'
import { UsageError } from '../errors.ts'
import { inputMaxBytes, readInput } from '../input.ts'
import { nearest } from './nearest.ts'

type Kind = 'text' | 'texts' | 'integer' | 'number' | 'seconds' | 'milliseconds' | 'json' | 'flag'

export type Option = {
  kind: Kind
  about: string
  /** `null` is a value, too: it removes what is set. */
  isNullable?: boolean
  isRequired?: boolean
  choices?: readonly string[]
}

/** By the name after the dashes. */
export type Options = Readonly<Record<string, Option>>

/** The values of the options that were given; those with `-` in their names have `_` here, like fields of the API. */
export type GivenValues = Record<string, unknown>

/** Reads what follows a command. Throws UsageError with a hint for anything that is not in the table. */
export function parseOptions(
  command: string,
  args: readonly string[],
  options: Options,
): { values: GivenValues; positionals: string[] } {
  const { tokens, positionals } = parseArgs({
    // Fields of the API are written with an underscore, options with a dash; both are understood.
    args: args.map((arg) => arg.replace(/^--[^=]+/, (name) => name.replaceAll('_', '-'))),
    options: Object.fromEntries(
      Object.entries(options).map(([name, { kind }]) => [name, { type: kind === 'flag' ? 'boolean' : 'string' }]),
    ),
    strict: false,
    tokens: true,
    allowNegative: true,
  })
  const values: GivenValues = {}
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (option === undefined) throw unknownOption(command, token.rawName, options)
    const field = token.name.replaceAll('-', '_')
    if (option.kind === 'flag') values[field] = readFlag(token.rawName, token.value)
    else {
      if (token.value === undefined || (!token.inlineValue && /^-./.test(token.value)))
        throw new UsageError(`${token.rawName} needs a value: ${option.about}`)
      const value = readValue(token.rawName, option, token.value)
      values[field] = option.kind === 'texts' ? [...((values[field] as string[]) ?? []), ...(value as string[])] : value
    }
  }
  for (const [name, { isRequired }] of Object.entries(options))
    if (isRequired && !values.help && values[name.replaceAll('-', '_')] === undefined)
      throw new UsageError(`--${name} is needed (flatline ${command} --help)`)
  return { values, positionals }
}

/** Of a duration such as 90, 250ms, 5m or 1h30m; undefined for anything else. A bare number has the given unit. */
export function durationMs(text: string, bare: 's' | 'ms'): number | undefined {
  if (/^\d{1,12}$/.test(text)) return Number(text) * unitMs[bare]
  if (!/^(\d{1,12}(ms|[smhdw]))+$/.test(text)) return undefined
  let sum = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g))
    sum += Number(count) * unitMs[unit as keyof typeof unitMs]
  return sum
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

const words: Record<Kind, string> = {
  text: 'TEXT',
  texts: 'TEXT',
  integer: 'NUMBER',
  number: 'NUMBER',
  seconds: 'DURATION',
  milliseconds: 'DURATION',
  json: 'JSON|@FILE',
  flag: '',
}

/** One line for each option. */
export function describeOptions(options: Options): string {
  const rows = Object.entries(options).map(([name, { kind, about, choices, isRequired }]) => {
    const repeat = kind === 'texts' ? '; may be repeated' : ''
    const among = choices ? ` (${choices.join(', ')})` : ''
    return [`  --${name} ${words[kind]}`.trimEnd(), `${about}${among}${repeat}${isRequired ? ' (needed)' : ''}`]
  })
  const width = Math.max(...rows.map(([left = '']) => left.length))
  return rows.map(([left = '', right]) => `${left.padEnd(width)}  ${right}\n`).join('')
}

function readFlag(name: string, value: string | undefined): boolean {
  if (value !== undefined) throw new UsageError(`${name} takes no value: --no-${name.slice(2)} switches it off`)
  return !name.startsWith('--no-')
}

const problems: Record<Exclude<Kind, 'text' | 'texts' | 'flag'>, string> = {
  integer: 'is not a whole number',
  number: 'is not a number',
  seconds: 'is not a duration: seconds, or such as 90s, 5m, 1h30m, 7d',
  milliseconds: 'is not a duration: milliseconds, or such as 250ms, 5s, 1m',
  json: 'is not JSON: an object in JSON, or @FILE that contains one',
}

function readValue(name: string, option: Option, text: string): unknown {
  if (option.isNullable && text === 'null') return null
  const value = convert(option, text)
  if (value === undefined) throw new UsageError(`${name} ${problems[option.kind as keyof typeof problems]}`)
  const other = [value].flat().find((one) => option.choices?.includes(String(one)) === false)
  if (other !== undefined) throw new UsageError(`${name} ${other} is not one of ${option.choices?.join(', ')}`)
  return value
}

function convert({ kind }: Option, text: string): unknown {
  if (kind === 'texts') return text.split(',').filter((part) => part !== '')
  if (kind === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
  if (kind === 'number') return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
  if (kind === 'milliseconds') return durationMs(text, 'ms')
  if (kind === 'json') return readJson(text)
  if (kind !== 'seconds') return text
  const ms = durationMs(text, 's')
  return ms !== undefined && ms % 1000 === 0 ? ms / 1000 : undefined
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text.startsWith('@') ? readInput(text.slice(1), inputMaxBytes.key) : text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function unknownOption(command: string, given: string, options: Options): UsageError {
  const like = nearest(given.replace(/^-+(no-)?/, ''), Object.keys(options))
  const hint = like === undefined ? '' : `; did you mean --${like}?`
  return new UsageError(`unknown option ${given}${hint} (flatline ${command} --help lists them)`)
}
