// The placeholders of Healthchecks' webhooks (https://healthchecks.io/docs/configuring_notifications/). One pass: a
// value is never searched for further placeholders, and unknown names are left as they are. A short template can
// contain the whole output two hundred times, so the result is limited while it is filled in: values that do not fit
// are cut, and JSON is cut so that it stays valid.

import { jsonText } from '../kit/characters.ts'
import { isoSeconds } from '../kit/instant.ts'
import { within } from './fit.ts'
import type { CheckMessage, Message, NoticeMessage } from './message.ts'
import { cut } from './text.ts'

// Longer names first; a tag's number is read completely, so that $TAG10 is never the first tag followed by a zero.
const names = /\$(NAME_JSON|BODY_JSON|EXITSTATUS|STATUS|TAG\d+|TAGS|CODE|NAME|SLUG|BODY|JSON|NOW)/g

/** In UTF-16 units. The first two are the lengths that servers accept for an address and for all headers together. */
const filledMax = { url: 8000, headers: 8000, body: 1_000_000 }

/** The placeholders that contain the text of a notice. */
const noticeTexts = /\$(NAME_JSON|NAME|BODY_JSON|BODY|JSON)/

/** Whether these templates can contain a notice: without a place for its text it would look like an outage. */
export function canContainNotice(templates: readonly (string | undefined)[]): boolean {
  return templates.some((template) => template !== undefined && noticeTexts.test(template))
}

/** The longest part of a value that takes at most `room` after `write` has escaped it. */
type BoundedText = (room: number, write: (text: string) => string) => string

/** `status` is the direction of the alert, which a test may choose. */
export function placeholdersOf(message: Message, status: 'down' | 'up') {
  const { at, body, json, ...own } = message.event === 'notice' ? valuesOfNotice(message) : valuesOfCheck(message)
  const values = {
    ...Object.fromEntries(Object.entries(own).map(([name, text]) => [name, cutTo(text)])),
    STATUS: cutTo(status),
    NOW: cutTo(isoSeconds(Date.parse(at))),
    NAME_JSON: jsonOf(own.NAME),
    JSON: whole(json),
  }
  const bodies = { ...values, BODY: lazily(body, cutTo), BODY_JSON: lazily(body, jsonOf) }

  return {
    url: (template: string) =>
      fill(template, values, filledMax.url, (value) => encodeURIComponent(value.toWellFormed())),
    /** `count` is the number of headers. */
    header: (template: string, count = 1) => fill(template, values, Math.floor(filledMax.headers / count), headerText),
    /** At most `max` units, by default as much as a webhook sends. */
    body: (template: string, max = filledMax.body) => fill(template, bodies, max, (value) => value),
  }
}

function fill(
  template: string,
  known: Record<string, BoundedText>,
  max: number,
  write: (text: string) => string,
): string {
  let room = Math.max(0, max - template.length)
  return template.replace(names, (placeholder, name: string) => {
    const value = known[name]
    if (value === undefined) return placeholder
    const written = value(room + placeholder.length, write)
    room += placeholder.length - written.length
    return written
  })
}

const cutTo =
  (text: string): BoundedText =>
  (room, write) =>
    room <= 0 ? '' : within(room, cut(text, room), write)

const jsonOf =
  (text: string): BoundedText =>
  (room, write) =>
    room <= 0 ? '' : within(room, cut(text, room), (part) => write(jsonText(part)))

/** A document cannot be cut and stay valid: one that does not fit becomes null. */
const whole =
  (json: () => string): BoundedText =>
  (room, write) => {
    const text = json()
    const written = text.length > room ? undefined : write(text)
    return written === undefined || written.length > room ? write('null') : written
  }

/** For a large value that few templates contain. */
function lazily(text: () => string, value: (text: string) => BoundedText): BoundedText {
  let known: BoundedText | undefined
  return (room, write) => {
    known ??= value(text())
    return known(room, write)
  }
}

function valuesOfCheck({ check, flip, lastPing }: CheckMessage) {
  const tags = check.tags.split(/\s+/).filter(Boolean)
  return {
    at: flip.at,
    body: () => lastPing?.body?.toString('utf8') ?? '',
    json: () => jsonText(check.document(flip.to)),
    CODE: check.id,
    NAME: check.name,
    SLUG: check.slug,
    TAGS: check.tags,
    EXITSTATUS: String(lastPing?.exitStatus ?? -1),
    ...Object.fromEntries(tags.map((tag, index) => [`TAG${index + 1}`, tag])),
  }
}

function valuesOfNotice({ notice, incident }: NoticeMessage) {
  return {
    at: notice.at,
    body: () => notice.text,
    json: () => jsonText(notice),
    CODE: incident,
    NAME: notice.title,
    SLUG: 'flatline',
    TAGS: '',
    EXITSTATUS: '-1',
  }
}

/** A control character would end the header, and the text after it would become the next one. */
function headerText(value: string): string {
  return [...value].map((character) => headerCharacter(character.codePointAt(0) as number, character)).join('')
}

function headerCharacter(codePoint: number, character: string): string {
  if (codePoint < 0x20 || codePoint === 0x7f) return ' '
  return codePoint > 0xff ? `&#${codePoint};` : character
}
