// The placeholders of Healthchecks' webhooks (its catalogue, section 7). One pass: what a placeholder stood for is never searched for
// further ones, and unknown names are left as they are.

import { isoSeconds } from '../core/instant.ts'
import type { CheckMessage, Message, NoticeMessage } from './message.ts'

// Longer names first; a tag's number is taken whole, so that $TAG10 is never the first tag and a zero.
const names = /\$(NAME_JSON|BODY_JSON|EXITSTATUS|STATUS|TAG\d+|TAGS|CODE|NAME|SLUG|BODY|JSON|NOW)/g

export type Placeholders = ReturnType<typeof placeholdersOf>

/** What there is of a notice stands in these. */
const telling = /\$(NAME_JSON|NAME|BODY_JSON|BODY|JSON)/

/** Whether a notice can be told by these templates: without a place for its words it would look like an outage. */
export function canTellNotice(templates: readonly (string | undefined)[]): boolean {
  return templates.some((template) => template !== undefined && telling.test(template))
}

/** `status` is the direction that is told, which a test may choose. */
export function placeholdersOf(message: Message, status: 'down' | 'up') {
  const { at, body, ...own } = message.event === 'notice' ? valuesOfNotice(message) : valuesOfCheck(message)
  const values: Record<string, () => string> = {
    ...own,
    STATUS: () => status,
    NOW: () => isoSeconds(Date.parse(at)),
    NAME_JSON: () => JSON.stringify(own.NAME()),
  }
  const bodies = { ...values, BODY: body, BODY_JSON: () => JSON.stringify(body()) }
  const fill = (template: string, known: Record<string, () => string>, encode: (value: string) => string) =>
    template.replace(names, (whole, name: string) => (known[name] ? encode(known[name]()) : whole))

  return {
    url: (template: string) => fill(template, values, (value) => encodeURIComponent(value.toWellFormed())),
    header: (template: string) => fill(template, values, headerText),
    body: (template: string) => fill(template, bodies, (value) => value),
  }
}

function valuesOfCheck({ check, flip, lastPing }: CheckMessage) {
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  const tags = text(check.tags).split(/\s+/).filter(Boolean)
  return {
    at: flip.at,
    body: () => lastPing?.body?.toString('utf8') ?? '',
    CODE: () => text(check.uuid),
    NAME: () => text(check.name),
    SLUG: () => text(check.slug),
    TAGS: () => text(check.tags),
    JSON: () => JSON.stringify(check),
    EXITSTATUS: () => String(lastPing?.exitStatus ?? -1),
    ...Object.fromEntries(tags.map((tag, index) => [`TAG${index + 1}`, () => tag])),
  }
}

function valuesOfNotice({ notice, incident }: NoticeMessage) {
  return {
    at: notice.at,
    body: () => notice.text,
    CODE: () => incident,
    NAME: () => notice.title,
    SLUG: () => 'flatline',
    TAGS: () => '',
    JSON: () => JSON.stringify(notice),
    EXITSTATUS: () => '-1',
  }
}

/** Control characters would end the header, and what comes after them would be the next one. */
function headerText(value: string): string {
  return [...value].map((character) => headerCharacter(character.codePointAt(0) as number, character)).join('')
}

function headerCharacter(codePoint: number, character: string): string {
  if (codePoint < 0x20 || codePoint === 0x7f) return ' '
  return codePoint > 0xff ? `&#${codePoint};` : character
}
