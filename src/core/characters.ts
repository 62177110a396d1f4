// Which characters of a text a format can hold, and which of them anybody sees.

/** What XML 1.0 has no place for, not even as an entity (https://www.w3.org/TR/xml/#charsets), and the other control characters. */
const unprintable = /[^\t\n\r\x20-\x7e\xa0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Whole characters only, and a blank for each that XML, HTML and the like do not have. */
export const printable = (text: string) => text.toWellFormed().replace(unprintable, ' ')

/** Separators, controls, formats, marks that have nothing to stand on, and the letters that Unicode draws as nothing. */
const visible = /[^\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{M}\u115f\u1160\u2800\u3164\uffa0]/u

/** Whether nobody would see anything of it. */
export const isBlank = (text: string) => !visible.test(text)

/** JSON of whole characters only: half of one may be written as an escape, which many readers refuse. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  return halfEscape.test(text) ? JSON.stringify(value, (_name, part) => wellFormed(part)) : text
}

const halfEscape = /\\u[dD][89a-fA-F]/
const wellFormed = (part: unknown) => (typeof part === 'string' ? part.toWellFormed() : part)
