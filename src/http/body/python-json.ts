// Parses JSON as Python does, which distinguishes 60 from 60.0 and has no largest integer. It uses no reviver, which
// would be called for each value: 1 MB of `{}` blocked the event loop for half a second.

/**
 * A fraction, an exponent, or an integer that no number can hold. They are rare, so most texts are parsed unchanged.
 */
const unusual = /\d[.eE]|\d{309}/
/** No shorter integer is too large for a number. */
const longDigits = 309
const wellFormed = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

/**
 * A number that is not written as an integer becomes infinite, which no rule accepts as an integer, and an integer of
 * any size stays finite. Throws if the text is not JSON.
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
      const isPlain = end - at < longDigits && isInteger(text, at, end)
      const replacement = isPlain ? undefined : numberInPlaceOf(text, at, end)
      if (replacement !== undefined) {
        parts.push(text.slice(kept, at), replacement)
        kept = end
      }
      at = end
    } else at++
  }
  return parts.join('') + text.slice(kept)
}

const [quote, backslash, minus, plus, dot] = [0x22, 0x5c, 0x2d, 0x2b, 0x2e]
const isDigit = (code: number) => code >= 0x30 && code <= 0x39

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1
  return at + 1
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // An e of either case.
    if (!isDigit(code) && code !== dot && code !== plus && code !== minus && (code | 0x20) !== 0x65) break
  }
  return at
}

function isInteger(text: string, start: number, end: number): boolean {
  for (let at = start + 1; at < end; at++) if (!isDigit(text.charCodeAt(at))) return false
  return true
}

/** Undefined if the text stays, also if it is not a number, so that the parser refuses it. */
function numberInPlaceOf(text: string, start: number, end: number): string | undefined {
  wellFormed.lastIndex = start
  if (!wellFormed.test(text) || wellFormed.lastIndex !== end) return undefined
  if (!isInteger(text, start, end)) return '1e999'
  const value = Number(text.slice(start, end))
  return Number.isFinite(value) ? undefined : `${value < 0 ? '-' : ''}${Number.MAX_VALUE}`
}
