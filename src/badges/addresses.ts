// The addresses of badges, as in Healthchecks (https://healthchecks.io/docs/badges/). A project's badge is
// `/badge/<key>/<signature>/<tag>.<format>`, the badge of all checks has no tag; a check's is
// `/b/<states>/<uuid>.<format>`. The signature, 8 characters of a URL-safe HMAC-SHA1, prevents that the address of one
// tag reveals those of others; the suffix `-2` means two states, no suffix means three.

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { BadgeProject } from '../accounts/store.ts'
import { isUuid } from '../kit/identifier.ts'

export const formats = ['svg', 'json', 'shields'] as const
export type Format = (typeof formats)[number]

/** `tag` is null for the badge of all checks. */
export type Wanted = { tag: string | null; signature: string; withLate: boolean; format: Format }

const overall = '*'

export type BadgeUrls = Record<Format | `${Format}3`, string>

export function badgeUrls(
  siteUrl: string,
  project: Pick<BadgeProject, 'badgeKey' | 'secret'>,
  tag: string | null,
): BadgeUrls {
  const signature = sign(project.secret, tag ?? overall)
  const end = tag === null ? '' : `/${encode(encode(tag))}`
  const url = (format: Format, states: string) =>
    `${siteUrl}/badge/${project.badgeKey}/${signature}${states}${end}.${format}`
  const both = formats.flatMap((format) => [
    [format, url(format, '-2')],
    [`${format}3`, url(format, '')],
  ])
  return Object.fromEntries(both) as BadgeUrls
}

/** Reads the parts of an address after the key; `tag` is decoded once. Null if it is not the address of a badge. */
export function parseBadge(signature: string, tag: string | null, format: string): Wanted | null {
  if (!isFormat(format)) return null
  const withLate = !(signature.length === 10 && signature.endsWith('-2'))
  const name = tag === null ? null : decode(tag)
  return name === undefined ? null : { tag: name, signature, withLate, format }
}

export function parseCheckBadge(states: string, badgeKey: string, format: string) {
  if (!/^\d+$/.test(states) || !isUuid(badgeKey) || !isFormat(format)) return null
  return { withLate: Number(states) === 3, format }
}

/** Only the first 8 characters count. */
export function isSigned({ secret }: Pick<BadgeProject, 'secret'>, { tag, signature }: Wanted): boolean {
  const given = Buffer.from(signature.slice(0, 8))
  const expected = Buffer.from(sign(secret, tag ?? overall))
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** Splits `name.format` at the last dot. */
export function splitFormat(file: string): [name: string, format: string] {
  const dot = file.lastIndexOf('.')
  return dot === -1 ? [file, ''] : [file.slice(0, dot), file.slice(dot + 1)]
}

const isFormat = (text: string): text is Format => formats.includes(text as Format)

function sign(secret: Buffer, tag: string): string {
  return createHmac('sha1', secret).update(tag).digest('base64url').slice(0, 8)
}

/** Also encodes the characters that encodeURIComponent leaves as they are. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
