// How answers look on a terminal. Names come from other people: control characters in them must not reach it.

import { styleText } from 'node:util'
import { printable } from '../../kit/characters.ts'
import type { ShownColumn } from './shown.ts'

export type Row = Record<string, unknown>

export type Output = {
  out(text: string): void
  err(text: string): void
  /** Whether text may be coloured. */
  colours: boolean
}

export const processOutput = (): Output => {
  // A reader such as head ends before everything is written.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    // hasColors also knows NO_COLOR and FORCE_COLOR.
    colours: process.stdout.isTTY === true && process.stdout.hasColors(),
  }
}

const cellMax = 60

/** Aligned columns under headings; a column that is empty in every row is left out. */
export function renderTable(columns: readonly ShownColumn[], rows: readonly Row[], { colours }: Output): string {
  const cells = columns
    .map(([heading, field, form]) => ({
      field,
      texts: [heading.toUpperCase(), ...rows.map((row) => shorten(textOf(row[field], form)))],
    }))
    .filter(({ texts }) => texts.slice(1).some((text) => text !== '') || rows.length === 0)
  const widths = cells.map(({ texts }) => Math.max(...texts.map((text) => [...text].length)))
  return [undefined, ...rows]
    .map((_, index) => {
      const line = cells.map(({ field, texts }, at) => {
        const text = texts[index] ?? ''
        const padding = at === cells.length - 1 ? '' : ' '.repeat((widths[at] ?? 0) - [...text].length + 2)
        return (index > 0 && colours ? coloured(field, text) : text) + padding
      })
      return `${line.join('').trimEnd()}\n`
    })
    .join('')
}

/** One field a line, without empty ones. */
export function renderFields(row: Row, { colours }: Output): string {
  const all = Object.entries(row).map(([name, value]) => [name, textOf(value)] as const)
  const lines = all.filter(([, text]) => text !== '')
  const width = Math.max(0, ...lines.map(([name]) => name.length))
  return lines
    .map(([name, text]) => `${`${name.padEnd(width)}  ${colours ? coloured(name, text) : text}`.trimEnd()}\n`)
    .join('')
}

const colourOf: Record<string, 'green' | 'red' | 'yellow' | 'gray'> = {
  up: 'green',
  closed: 'green',
  sent: 'green',
  down: 'red',
  open: 'red',
  dead: 'red',
  grace: 'yellow',
  half_open: 'yellow',
  retrying: 'yellow',
  paused: 'gray',
  new: 'gray',
}

function coloured(field: string, text: string): string {
  const colour = ['status', 'state'].includes(field) ? colourOf[text] : undefined
  return colour === undefined ? text : styleText(colour, text, { validateStream: false })
}

function textOf(value: unknown, form?: 'seconds'): string {
  if (value === null || value === undefined) return ''
  if (form === 'seconds' && typeof value === 'number') return durationText(value)
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value)).replace(/\s+/g, ' ')
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const

/** As --timeout and the others take it: 5400 is 1h30m. */
function durationText(seconds: number): string {
  let left = seconds
  const parts = units.map(([unit, length]) => {
    const count = unit === 's' ? left : Math.floor(left / length)
    left -= count * length
    return count === 0 ? '' : `${unit === 's' ? Number(count.toFixed(3)) : count}${unit}`
  })
  return parts.join('') || '0s'
}

function shorten(text: string): string {
  const characters = [...text]
  return characters.length > cellMax ? `${characters.slice(0, cellMax - 1).join('')}…` : text
}
