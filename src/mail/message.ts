// The content of an e-mail (RFC 5322, RFC 2045 to 2047) as a person reads it: its subject and its decoded texts.
// Malformed declarations lose no text: an unknown type, encoding or character set counts as absent, and a part without
// an end is text up to the end. Time is proportional to length, and only what is needed is decoded. mailparser reads
// every address of a message first (a second for a megabyte of them), and returns nothing for a message that exceeds
// one of its limits.

import { isUtf8 } from 'node:buffer'
import libmime from 'libmime'
import { decode as decodeCharset } from 'libmime/lib/charset.js'
import { decode as decodeQuotedPrintable } from 'libqp'
import { renderedText } from './rendered.ts'

/** `plain` and `html` are the texts of all parts of that type, HTML as it is displayed. */
export type MailMessage = { subject: string; plain: string; html: string }

type PartHeaders = { subject?: string; type?: string; encoding?: string; disposition?: string }
/** Positions in the whole message, in bytes. */
type Range = { start: number; end: number }
type Part = { headers: PartHeaders; body: Range; depth: number }
type Budget = { parts: number; marks: number }
type Leaf = { type: 'plain' | 'html'; text: string }

const depthMax = 20
/** Parts beyond this limit are read as one text. */
const partsMax = 1000
/** The most lines that begin like the boundary between two parts, at all depths together. */
const marksMax = 20_000
const subjectMaxBytes = 16_384
const headerMaxBytes = 4096
const lineFeed = 10

const names: Record<string, keyof PartHeaders> = {
  subject: 'subject',
  'content-type': 'type',
  'content-transfer-encoding': 'encoding',
  'content-disposition': 'disposition',
}

/** Reads a message of any bytes; without `texts` it does not read the body. */
export function readMessage(raw: Buffer, { texts }: { texts: boolean }): MailMessage {
  const message = partAt(raw, { start: 0, end: raw.length }, 0)
  const leaves = texts ? leavesOf(raw, message) : []
  const textOf = (wanted: Leaf['type']) =>
    leaves
      .filter(({ type }) => type === wanted)
      .map(({ text }) => text)
      .join('\n')
  return { subject: subjectOf(message.headers), plain: textOf('plain'), html: textOf('html') }
}

/** For people: the subject, followed by the plain text or, if there is none, the text of the HTML. */
export function readableMessage(raw: Buffer): string {
  const { subject, plain, html } = readMessage(raw, { texts: true })
  return [subject, plain.trim() === '' ? html : plain]
    .map((text) => text.trim())
    .filter(Boolean)
    .join('\n\n')
}

function subjectOf({ subject = '' }: PartHeaders): string {
  const unfolded = decodeText(Buffer.from(subject, 'latin1'), undefined).replace(/\r?\n[ \t]*/g, ' ')
  return libmime.decodeWords(unfolded).trim()
}

function partAt(raw: Buffer, { start, end }: Range, depth: number): Part {
  const headers: PartHeaders = {}
  let last: keyof PartHeaders | undefined
  let at = start
  while (at < end) {
    const feed = raw.indexOf(lineFeed, at)
    const next = feed === -1 || feed >= end ? end : feed + 1
    const colon = nameEnd(raw, at, next)
    const isFolded = at > start && (raw[at] === 0x20 || raw[at] === 0x09)
    if (isBlank(raw, at, next)) return { headers, body: { start: next, end }, depth }
    // The first line that is not a header ends the headers: some messages have no headers.
    if (!isFolded && colon === -1 && !(at === start && isEnvelope(raw, at))) break
    if (!isFolded)
      last = colon === -1 ? undefined : wanted(headers, raw.toString('latin1', at, Math.min(colon, at + 40)))
    const known = last === undefined ? '' : (headers[last] ?? '')
    const room = (last === 'subject' ? subjectMaxBytes : headerMaxBytes) - known.length
    const from = isFolded ? at : colon + 1
    if (last !== undefined && room > 0)
      headers[last] = known + raw.toString('latin1', from, Math.min(next, from + room))
    at = next
  }
  return { headers, body: { start: at, end }, depth }
}

/** The field for a header of this name, if it is needed; the first header of a name counts. */
function wanted(headers: PartHeaders, name: string): keyof PartHeaders | undefined {
  const key = name.trim().toLowerCase()
  const field = Object.hasOwn(names, key) ? names[key] : undefined
  return field === undefined || headers[field] !== undefined ? undefined : field
}

/** Where the name of the header in this line ends; -1 if the line is not a header. */
function nameEnd(raw: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = raw[at] as number
    if (byte === 0x3a) return at > start ? at : -1
    if (byte === 0x20 || byte === 0x09) {
      // Older programs write white space before the colon.
      while (at < end && (raw[at] === 0x20 || raw[at] === 0x09)) at++
      return at < end && raw[at] === 0x3a ? at : -1
    }
    if (byte < 0x21 || byte > 0x7e) return -1
  }
  return -1
}

/** `From root Sun Nov 29 …`, the first line of a message in a mailbox file. */
function isEnvelope(raw: Buffer, at: number): boolean {
  return /^>?From /.test(raw.toString('latin1', at, at + 6))
}

function isBlank(raw: Buffer, start: number, end: number): boolean {
  return raw[start] === lineFeed || (raw[start] === 13 && start + 2 >= end && raw[start + 1] === lineFeed)
}

/** In order, without recursion, because the sender chooses how deep parts are nested. */
function leavesOf(raw: Buffer, message: Part): Leaf[] {
  const leaves: Leaf[] = []
  const waiting = [message]
  const budget = { parts: partsMax, marks: marksMax }
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    const { value, params } = typeOf(part.headers)
    const boundary = value.startsWith('multipart/') ? params.boundary : undefined
    const inner = boundary && part.depth < depthMax ? split(raw, part.body, boundary, budget) : []
    if (inner.length > 0) {
      for (const range of inner.reverse()) waiting.push(partAt(raw, range, part.depth + 1))
    } else {
      const leaf = leafOf(raw, part, value, params.charset)
      if (leaf !== null) leaves.push(leaf)
    }
  }
  return leaves
}

function typeOf({ type = '' }: PartHeaders): { value: string; params: { boundary?: string; charset?: string } } {
  const { value, params } = libmime.parseHeaderValue(type.replace(/\r?\n/g, ' '))
  const known = value.trim().toLowerCase()
  return { value: /^[\w.+-]+\/[\w.+-]+$/.test(known) ? known : 'text/plain', params }
}

/** The text between the boundary lines; nothing if there is none. The last part takes all that the budget leaves. */
function split(raw: Buffer, { start, end }: Range, boundary: string, budget: Budget): Range[] {
  const mark = Buffer.from(`\n--${boundary}`, 'latin1')
  const ranges: Range[] = []
  let from: number | null = null
  // The search begins after a line, whose end may belong to the first boundary.
  for (let at = raw.indexOf(mark, start - 1); at !== -1 && at + mark.length <= end; at = raw.indexOf(mark, at + 1)) {
    if (--budget.marks < 0) break
    const after = at + mark.length
    const feed = raw.indexOf(lineFeed, after)
    const lineEnd = feed === -1 || feed >= end ? end : feed
    const rest = raw.toString('latin1', after, Math.min(lineEnd, after + 80))
    if (!/^(?:--)?[ \t\r]*$/.test(rest)) continue
    if (from !== null) {
      ranges.push({ start: from, end: Math.max(from, at + 1) })
      budget.parts--
    }
    if (rest.startsWith('--')) return ranges
    from = Math.min(lineEnd + 1, end)
    if (budget.parts <= 1) break
  }
  if (from === null) return ranges
  budget.parts--
  return [...ranges, { start: from, end }]
}

/** Null for a part that is not text, or is attached. If a message consists of one text file, that file is the text. */
function leafOf(raw: Buffer, { headers, body, depth }: Part, type: string, charset: string | undefined): Leaf | null {
  const isText = type.startsWith('text/') || type.startsWith('multipart/')
  const isAttached = /^\s*attachment\b/i.test(headers.disposition ?? '')
  if (depth > 0 && (!isText || isAttached)) return null
  const bytes = decodeTransfer(raw.subarray(body.start, body.end), (headers.encoding ?? '').trim().toLowerCase())
  if (!isText && bytes.includes(0)) return null
  const text = decodeText(bytes, charset)
  return type === 'text/html' ? { type: 'html', text: renderedText(text) } : { type: 'plain', text }
}

function decodeTransfer(bytes: Buffer, encoding: string): Buffer {
  if (encoding === 'quoted-printable') return decodeQuotedPrintable(bytes.toString('latin1'))
  return encoding === 'base64' ? decodeBase64(bytes.toString('latin1')) : bytes
}

/** A mailing list may have appended lines of plain text, and some senders declare base64 for text that is not. */
function decodeBase64(text: string): Buffer {
  let end = 0
  while (end < text.length) {
    const feed = text.indexOf('\n', end)
    const next = feed === -1 ? text.length : feed + 1
    // Trimmed first: a pattern with two places for blanks tries every way to divide them.
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text.slice(end, next).trim())) break
    end = next
  }
  return Buffer.concat([Buffer.from(text.slice(0, end), 'base64'), Buffer.from(text.slice(end), 'latin1')])
}

/**
 * Many messages declare no character set or a wrong one, but bytes that are valid UTF-8 are hardly ever anything else.
 */
function decodeText(bytes: Buffer, charset: string | undefined): string {
  const label = charset?.trim().toLowerCase() ?? ''
  const isVague = label === '' || /^(?:us-)?ascii$|^utf-?8$|^unknown/.test(label)
  const decoder = isVague ? null : decoderOf(label)
  if (decoder) return decoder.decode(bytes)
  if (isUtf8(bytes)) return bytes.toString('utf8')
  return isVague ? new TextDecoder('windows-1252').decode(bytes) : decodeCharset(bytes, label)
}

function decoderOf(label: string): { decode(bytes: Buffer): string } | null {
  try {
    return new TextDecoder(label)
  } catch {
    return null
  }
}
