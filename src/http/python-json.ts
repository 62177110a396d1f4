// JSON as Python reads it, which tells 60 from 60.0 and knows no largest integer. Without a reviver, which would be called for each value:
// 1 MB of `{}` kept everybody waiting for half a second.

/** Rare, so that most texts are parsed as they are: a fraction, an exponent, or an integer that no number can hold. */
const unusual = /\d[.eE]|\d{309}/
const isInteger = /^-?\d+$/
const numberCharacters = /[\d.eE+-]+/y
const largest = String(Number.MAX_VALUE)

/**
 * A number that is not written as an integer becomes infinite, which no rule takes for an integer, and an integer of any size stays
 * finite. Throws for what is no JSON.
 */
export function parseJson(text: string): unknown {
  return JSON.parse(unusual.test(text) ? withPlainNumbers(text) : text)
}

function withPlainNumbers(text: string): string {
  const parts: string[] = []
  let kept = 0
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at)
    else if (isDigit(code) || code === minus) {
      const end = endOfNumber(text, at)
      const plain = plainNumber(text.slice(at, end))
      if (plain !== undefined) {
        parts.push(text.slice(kept, at), plain)
        kept = end
      }
      at = end
    } else at++
  }
  return parts.join('') + text.slice(kept)
}

const quote = 0x22
const backslash = 0x5c
const minus = 0x2d
const isDigit = (code: number) => code >= 0x30 && code <= 0x39

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1
  return at + 1
}

function endOfNumber(text: string, start: number): number {
  numberCharacters.lastIndex = start
  numberCharacters.test(text)
  return numberCharacters.lastIndex
}

/** What to write in its place; undefined where it may stay, also because it is no number and the parser is to say so. */
function plainNumber(number: string): string | undefined {
  const value = Number(number)
  if (Number.isNaN(value) || !/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(number)) return undefined
  if (!isInteger.test(number)) return '1e999'
  return Number.isFinite(value) ? undefined : `${value < 0 ? '-' : ''}${largest}`
}
