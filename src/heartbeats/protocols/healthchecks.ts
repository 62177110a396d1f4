// The ping addresses of Healthchecks (its catalogue, section 2): what an address asks for, and who sent it.

import { isIP } from 'node:net'
import type { SignalKind } from '../../core/heartbeat.ts'
import { isUuid } from '../../core/identifier.ts'

/** What the last part of a ping address says. An exit status above 255 is none, which the caller must answer. */
export type Action = { kind: SignalKind; exitStatus: number | null }

const named: Record<string, Action> = {
  start: { kind: 'start', exitStatus: null },
  fail: { kind: 'fail', exitStatus: null },
  log: { kind: 'log', exitStatus: null },
}
const success: Action = { kind: 'success', exitStatus: null }

/** Null if no ping address ends so; `invalid` for an exit status out of range. Leading zeros are allowed. */
export function parseAction(text: string | undefined): Action | 'invalid' | null {
  if (text === undefined || text === '') return success
  if (Object.hasOwn(named, text)) return named[text] as Action
  if (!/^\d+$/.test(text)) return null
  const exitStatus = Number(text)
  return exitStatus > 255 ? 'invalid' : { kind: exitStatus === 0 ? 'success' : 'fail', exitStatus }
}

/** The run id, lower-cased; null if absent, undefined if it is not one uuid. */
export function parseRid(rid: string | string[] | undefined): string | null | undefined {
  if (rid === undefined) return null
  if (typeof rid !== 'string') return undefined
  const lower = rid.toLowerCase()
  return isUuid(lower) ? lower : undefined
}

type Headers = Record<string, string | string[] | undefined>

/** The sender as a proxy names it, for information only; anything that is no address falls back to the socket's. */
export function senderOf(headers: Headers, socketAddress: string | undefined): { remoteAddr: string; scheme: string } {
  const first =
    String(headers['x-forwarded-for'] ?? '')
      .split(',', 1)[0]
      ?.trim() ?? ''
  const withoutPort = /^\d+\.\d+\.\d+\.\d+:\d+$/.test(first) ? first.slice(0, first.indexOf(':')) : first
  // A zone (fe80::1%eth0) may be of any length and means nothing here.
  const address = withoutPort.split('%', 1)[0] ?? ''
  const proto = String(headers['x-forwarded-proto'] ?? '')
  return {
    remoteAddr: isIP(address) > 0 ? address : ((socketAddress ?? '').split('%', 1)[0] ?? ''),
    scheme: /^[a-z][a-z0-9+.-]{0,9}$/i.test(proto) ? proto : 'http',
  }
}
