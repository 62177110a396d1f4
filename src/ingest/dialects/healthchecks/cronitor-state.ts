// The parameter `?state=` of Cronitor's telemetry (https://cronitor.io/docs/telemetry-api) on ping addresses.
// Cronitor's clients send `/ping/<key>/<name>?state=fail`, which has the form of a Healthchecks ping: ignored, the
// parameter would turn a failure into a success. The rest of the dialect is not supported.

import type { PingAction } from './ping-address.ts'

const kinds: Record<string, PingAction['kind']> = {
  run: 'start',
  complete: 'success',
  ok: 'success',
  tick: 'success',
  fail: 'fail',
}

/** The answer to a refused state. */
export const stateProblem = `invalid state, it is one of ${Object.keys(kinds).join(', ')} and does not contradict the address`

/**
 * The action of an address with a state; null for a state that is unknown or contradicts the action in the address.
 * `isPlain`: the address names no action, so the state decides.
 */
export function withState(action: PingAction, state: string, isPlain: boolean): PingAction | null {
  const word = state.toLowerCase()
  const kind = Object.hasOwn(kinds, word) ? (kinds[word] as PingAction['kind']) : null
  if (kind === null) return null
  if (isPlain) return { kind, exitStatus: null }
  return kind === action.kind ? action : null
}
