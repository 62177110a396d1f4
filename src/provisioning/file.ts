// Reads the YAML of a provisioning file, with the place of each part for messages.

import { type Document, isNode, LineCounter, parseDocument } from 'yaml'
import { profileMaxBytes, readConfigFile } from '../config/files.ts'
import type { AppError } from '../core/errors.ts'

/** The message names the file, the line, the place in the file and the rule. */
export class ProvisionError extends Error {
  override name = 'ProvisionError'
}

export type Path = readonly (string | number)[]

export type ProvisionFile = {
  value: unknown
  /** `provision.yaml:12: projects[0].channels[1]`. */
  place: (path: Path) => string
}

export const fieldOf = ({ field }: AppError): string[] => (field ? field.split('.') : [])

/** Without the field, with which messages begin. */
export function ruleOf({ field, message }: AppError): string {
  return field && message.startsWith(`${field} `) ? message.slice(field.length + 1) : message
}

const maxBytes = 8 * profileMaxBytes
const aliasesMax = 10_000

export function readProvisionFile(file: string): ProvisionFile {
  const text = readConfigFile(file, maxBytes)
  if (typeof text !== 'string') throw new ProvisionError(`PROVISION_FILE ${file} ${text.problem}`)
  const lines = new LineCounter()
  const document = parseDocument(text, { merge: true, lineCounter: lines })
  const [error] = document.errors
  // The parser's message quotes the text around the mistake, which may be a secret.
  if (error)
    throw new ProvisionError(`${file}:${error.linePos?.[0].line ?? 1}: is not valid YAML (${error.code.toLowerCase()})`)
  return {
    value: plain(file, document),
    place: (path) => {
      const where = pathText(path)
      return `${file}:${lineOf(document, lines, path)}:${where && ` ${where}`}`
    },
  }
}

function plain(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: aliasesMax })
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    throw new ProvisionError(`${file}: expands its aliases too often`)
  }
}

/** The line of the innermost part that is written in the file: a missing field, or one of an alias, has none of its own. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return 1
}

function pathText(path: Path): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}${text && '.'}${part.slice(0, 100)}`),
    '',
  )
}
