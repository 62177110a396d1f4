// Which characters a format can hold, and which are visible.

/**
 * Control characters, and the characters that XML 1.0 cannot hold, not even as an entity
 * (https://www.w3.org/TR/xml/#charsets).
 */
const unprintable = /[^\t\n\r\x20-\x7e\xa0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Well-formed text, with a blank for each character that XML and HTML cannot hold. */
export const printable = (text: string) => text.toWellFormed().replace(unprintable, ' ')

/** Any character but separators, controls, formats, combining marks and letters without a glyph. */
const visible = /[^\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{M}\u115f\u1160\u2800\u3164\uffa0]/u

/** Whether the text has no visible character. */
export const isBlank = (text: string) => !visible.test(text)

/** JSON without lone surrogates, which `JSON.stringify` writes as escapes that many parsers refuse. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  return surrogateEscape.test(text) ? JSON.stringify(value, (_name, part) => wellFormed(part)) : text
}

const surrogateEscape = /\\u[dD][89a-fA-F]/
const wellFormed = (part: unknown) => (typeof part === 'string' ? part.toWellFormed() : part)
