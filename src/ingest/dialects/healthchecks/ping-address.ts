// The ping addresses of Healthchecks (https://healthchecks.io/docs/http_api/): the recipient of a ping, and its
// content.

import type { SignalKind } from '../../../core/heartbeat.ts'
import { isUuid } from '../../../kit/identifier.ts'

/** The meaning of the last part of a ping address. An exit status above 255 has none, and the caller must refuse it. */
export type PingAction = { kind: SignalKind; exitStatus: number | null }

const named: Record<string, PingAction> = {
  start: { kind: 'start', exitStatus: null },
  fail: { kind: 'fail', exitStatus: null },
  log: { kind: 'log', exitStatus: null },
}
const success: PingAction = { kind: 'success', exitStatus: null }

/** The recipient of a ping. A ping key and a slug, both as they were sent, name a check of that key's project. */
export type PingRecipient = { checkId: string } | { pingKey: string; slug: string }

const word = /^[A-Za-z0-9_-]+$/

/**
 * Reads the parts of a path after the ping endpoint; null if it is not a ping address. An ambiguous path is a uuid and
 * an action. `isPlain`: the address names no action, and so means success.
 */
export function parseAddress(
  first: string,
  second: string | undefined,
  third: string | undefined,
): { to: PingRecipient; action: PingAction | 'invalid'; isPlain: boolean } | null {
  if (third === undefined && isUuid(first)) {
    const action = parseAction(second)
    if (action !== null) return { to: { checkId: first }, action, isPlain: !second }
  }
  // No slash may follow a slug.
  if (second === undefined || third === '' || !word.test(first) || !word.test(second)) return null
  const action = parseAction(third)
  return action === null ? null : { to: { pingKey: first, slug: second }, action, isPlain: third === undefined }
}

const slugMax = 100

/** Slugs are short and in lower case; any other one is refused first, whatever else is wrong. */
export function isSlug(text: string): boolean {
  return text.length <= slugMax && !/[A-Z]/.test(text)
}

/** Null if no ping address ends like this; `invalid` for an exit status out of range. Leading zeros are allowed. */
function parseAction(text: string | undefined): PingAction | 'invalid' | null {
  if (text === undefined || text === '') return success
  if (Object.hasOwn(named, text)) return named[text] as PingAction
  if (!/^\d+$/.test(text)) return null
  const exitStatus = Number(text)
  return exitStatus > 255 ? 'invalid' : { kind: exitStatus === 0 ? 'success' : 'fail', exitStatus }
}

/** The run id, lower-cased; null if absent, undefined if it is not a uuid. */
export function parseRid(rid: string | undefined): string | null | undefined {
  if (rid === undefined) return null
  const lower = rid.toLowerCase()
  return isUuid(lower) ? lower : undefined
}
