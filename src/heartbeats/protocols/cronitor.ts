// The one word of Cronitor's telemetry that a ping address may carry (https://cronitor.io/docs/telemetry-api): `?state=`. Its clients send
// `/ping/<key>/<name>?state=fail`, which has the shape of a Healthchecks ping, so that the word has to count there: ignored, it would turn
// a failure into a success. The rest of the dialect is not spoken.

import type { Action } from './healthchecks.ts'

const kinds: Record<string, Action['kind']> = {
  run: 'start',
  complete: 'success',
  ok: 'success',
  tick: 'success',
  fail: 'fail',
}

/** The rule, for whoever broke it. */
export const stateProblem = `invalid state, it is one of ${Object.keys(kinds).join(', ')} and does not contradict the address`

/**
 * What an address and its state say together; null for a state that is unknown, or that contradicts what the end of the address says. An
 * address without an end leaves it to the state.
 */
export function withState(action: Action, state: string, isPlain: boolean): Action | null {
  const word = state.toLowerCase()
  const kind = Object.hasOwn(kinds, word) ? (kinds[word] as Action['kind']) : null
  if (kind === null) return null
  if (isPlain) return { kind, exitStatus: null }
  return kind === action.kind ? action : null
}
