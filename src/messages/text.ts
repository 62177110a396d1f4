// Words and numbers as people read them, and cutting them to length.

import { stripVTControlCharacters } from 'node:util'
import { printable } from '../kit/characters.ts'

/** Half of a character that consists of two units. */
const halfAtEnd = /[\uD800-\uDBFF]$/
const halfAtStart = /^[\uDC00-\uDFFF]/

/** Cuts to at most `max` UTF-16 units; code points are never more than that. Never cuts a character in half. */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, Math.max(0, max - 1)).replace(halfAtEnd, '')}…`
}

/** The end of a text, at most `max` units. */
export function tail(text: string, max: number): string {
  return text.length <= max ? text : `…${text.slice(text.length - max + 1).replace(halfAtStart, '')}`
}

/** Without control characters, on one line. */
export function oneLine(text: string): string {
  return printable(text)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
}

/** Text of several lines without control characters, terminal colours and trailing blanks. */
export function readable(text: string): string {
  return stripVTControlCharacters(text.toWellFormed())
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]|[\uFFFE\uFFFF]/gu, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

/** `2026-11-22 21:10:05 UTC` */
export function instantText(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

const units: [seconds: number, name: string][] = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
]

/** The two largest units of a duration: `2 hours 5 minutes`. */
export function durationText(ms: number): string {
  let left = Math.max(0, Math.round(ms / 1000))
  const parts = units.map(([seconds, name]) => {
    const count = Math.floor(left / seconds)
    left -= count * seconds
    return { count, text: `${count} ${name}${count === 1 ? '' : 's'}` }
  })
  const first = parts.findIndex(({ count }) => count > 0)
  if (first === -1) return '0 seconds'
  return parts
    .slice(first, first + 2)
    .filter(({ count }) => count > 0)
    .map(({ text }) => text)
    .join(' ')
}
