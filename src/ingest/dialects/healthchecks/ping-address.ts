// The ping addresses of Healthchecks (https://healthchecks.io/docs/http_api/; its catalogue, section 2): the recipient
// of a ping, and what it says.

import type { SignalKind } from '../../../core/heartbeat.ts'
import { isUuid } from '../../../kit/identifier.ts'

/** What the last part of a ping address says. An exit status above 255 is none, which the caller must answer. */
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
 * Reads the parts of a path behind the ping endpoint; null if it is no ping address. What could be two things is a uuid
 * and an action. `isPlain`: the address names no action, and so means success.
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
  // Behind a slug no slash may follow.
  if (second === undefined || third === '' || !word.test(first) || !word.test(second)) return null
  const action = parseAction(third)
  return action === null ? null : { to: { pingKey: first, slug: second }, action, isPlain: third === undefined }
}

const slugMax = 100

/** Slugs are short and in lower case; any other one is refused first, whatever else is wrong. */
export function isSlug(text: string): boolean {
  return text.length <= slugMax && !/[A-Z]/.test(text)
}

/** Null if no ping address ends so; `invalid` for an exit status out of range. Leading zeros are allowed. */
function parseAction(text: string | undefined): PingAction | 'invalid' | null {
  if (text === undefined || text === '') return success
  if (Object.hasOwn(named, text)) return named[text] as PingAction
  if (!/^\d+$/.test(text)) return null
  const exitStatus = Number(text)
  return exitStatus > 255 ? 'invalid' : { kind: exitStatus === 0 ? 'success' : 'fail', exitStatus }
}

/** The run id, lower-cased; null if absent, undefined if it is no uuid. */
export function parseRid(rid: string | undefined): string | null | undefined {
  if (rid === undefined) return null
  const lower = rid.toLowerCase()
  return isUuid(lower) ? lower : undefined
}
