// Reads the checks of a YAML file. The file may come from anybody: its size, depth, aliases and the width of its
// mappings are limited before anything is built from it, because the parser looks up references and compares keys with
// all earlier ones.

import { Parser, parse } from 'yaml'
import { CommandError } from './errors.ts'
import { inputMaxBytes, readInput } from './input.ts'

const limits = { depth: 32, aliases: 10_000, anchors: 100, keys: 1000 }

/** The `checks` of the file; `-` is standard input. Throws CommandError. */
export function readChecks(file: string): unknown[] {
  const document = parseFile(file, readInput(file, inputMaxBytes.definitions))
  const { checks, ...rest } = (document ?? {}) as { checks?: unknown }
  if (!Array.isArray(checks)) throw new CommandError(`${file} has no list of checks: it should begin with "checks:"`)
  const unknown = Object.keys(rest).find((name) => !name.startsWith('x-'))
  if (unknown !== undefined) throw new CommandError(`${file} has an unknown field: ${unknown.slice(0, 100)}`)
  const budget = { bytes: inputMaxBytes.definitions }
  for (const [index, check] of checks.entries()) requireSendable(check, `checks[${index}]`, file, budget)
  return checks
}

function parseFile(file: string, text: string): unknown {
  try {
    const excess = findExcess(text)
    if (excess !== undefined) throw new CommandError(`${file} has ${excess}`)
    return parse(text, { merge: true, maxAliasCount: limits.aliases })
  } catch (error) {
    if (error instanceof CommandError) throw error
    if (error instanceof RangeError) throw new CommandError(`${file} is nested too deeply`)
    throw new CommandError(`${file} is not YAML: ${(error as Error).message.slice(0, 1000)}`)
  }
}

/** A node of YAML's concrete syntax tree, with the properties that matter here. */
type Token = {
  type: string
  items?: { start?: Token[]; key?: Token | null; sep?: Token[]; value?: Token }[]
  value?: Token
  start?: Token[]
  props?: Token[]
}

/** The limit that the text exceeds, if any. Neither the parser nor this walk is recursive. */
function findExcess(text: string): string | undefined {
  const count = { alias: 0, anchor: 0 }
  for (const root of new Parser().parse(text)) {
    const open: [token: Token, depth: number][] = [[root as Token, 0]]
    for (let next = open.pop(); next; next = open.pop()) {
      const [token, depth] = next
      if (token.type === 'alias' || token.type === 'anchor') count[token.type]++
      if (depth > limits.depth) return `more than ${limits.depth} levels`
      if (count.alias > limits.aliases) return `more than ${limits.aliases} aliases`
      if (count.anchor > limits.anchors) return `more than ${limits.anchors} anchors`
      const items = token.items ?? []
      if (/map|flow/.test(token.type) && items.filter(({ sep }) => sep).length > limits.keys)
        return `a mapping of more than ${limits.keys} keys`
      for (const one of [token.start, token.props].flat()) if (one) open.push([one, depth])
      if (token.value && typeof token.value === 'object') open.push([token.value, depth])
      for (const { start, key, sep, value } of items) {
        for (const one of [start, sep].flat()) if (one) open.push([one, depth])
        for (const one of [key, value]) if (one) open.push([one, depth + 1])
      }
    }
  }
  return undefined
}

/**
 * JSON has no infinite numbers and would contain null instead, which means something else. The value of an alias counts
 * each time that it is used.
 */
function requireSendable(value: unknown, path: string, file: string, budget: { bytes: number }): void {
  budget.bytes -= typeof value === 'string' ? value.length + 2 : 2
  if (budget.bytes < 0) throw new CommandError(`${file} is longer than 8 MB with its aliases filled in`)
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new CommandError(`${file}: ${path} is a number that cannot be sent: ${value}`)
  if (value === null || typeof value !== 'object') return
  for (const [key, inner] of Object.entries(value)) {
    budget.bytes -= key.length
    requireSendable(inner, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key.slice(0, 100)}`, file, budget)
  }
}
