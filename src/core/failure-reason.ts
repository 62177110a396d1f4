// One word for the reason why a call to another system failed. Error texts can name hosts, addresses and people; these
// words name nothing.

const reasons: Record<string, FailureReason> = {
  ECONNREFUSED: 'refused',
  ENOENT: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  ENOTFOUND: 'unresolved',
  EAI_AGAIN: 'unresolved',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  P2024: 'timeout',
  P1001: 'refused',
  P1002: 'timeout',
  P1017: 'reset',
}

const causesMax = 5

/** Every word there is. */
export const failureReasons = [
  'refused',
  'reset',
  'unresolved',
  'unreachable',
  'timeout',
  'shutdown',
  'exhausted',
  'error',
] as const
export type FailureReason = (typeof failureReasons)[number]

/** The word for this error, or for its cause; `error` if the reason is unknown. */
export function failureReason(error: unknown): FailureReason {
  let next = error
  for (let depth = 0; depth < causesMax && typeof next === 'object' && next !== null; depth++) {
    const { code, name, message, cause } = next as {
      code?: unknown
      name?: unknown
      message?: unknown
      cause?: unknown
    }
    const known = typeof code === 'string' ? (reasons[code] ?? sqlReason(code)) : undefined
    if (known) return known
    if (name === 'TimeoutError' || /time-?out/i.test(String(message))) return 'timeout'
    if (/Connection terminated/.test(String(message))) return 'reset'
    next = cause
  }
  return 'error'
}

/** The word for an SQLSTATE: PostgreSQL's own classes for connections, resources and operators. */
function sqlReason(code: string): FailureReason | undefined {
  if (/^08/.test(code)) return 'reset'
  if (/^57P/.test(code)) return 'shutdown'
  return /^53/.test(code) ? 'exhausted' : undefined
}
