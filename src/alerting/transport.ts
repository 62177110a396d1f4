// A transport turns one Message into one exchange with one kind of destination. Retries, time-outs, limits and the guard against private
// addresses are around it, once for all kinds.

import { STATUS_CODES } from 'node:http'
import type { TSchema } from 'typebox'
import type { FetchResponse, GuardedFetch } from './guarded-fetch.ts'
import type { Message } from './message.ts'

export type SendContext = { fetch: GuardedFetch; signal: AbortSignal; now: () => number }

/** `field` is a path below the settings. */
export type SettingsProblem = { field: string; rule: string }

export type Transport<Settings = never> = {
  kind: string
  settings: TSchema
  /** On `chat` and in `mail` one message can tell several alerts of a storm. */
  category?: 'chat' | 'mail' | 'push' | 'incident' | 'phone' | 'custom'
  /** Messages that the destination takes from one sender within a minute. */
  perMinute?: number
  /** What the schema cannot say about settings that pass it. */
  problem?(settings: Settings): SettingsProblem | undefined
  /** Rejects with DeliveryError, or with what `fetch` rejected with. Suppressed: the settings ask for silence here. */
  send(message: Message, settings: Settings, context: SendContext): Promise<'sent' | { suppressed: string }>
}

/**
 * The message is shown to the channel's owner: short, without secrets or paths. `permanent`: the destination is gone for
 * good, the channel is switched off. `status` is what it answered, `away` in a word why it could not be reached; neither if it was
 * not asked.
 */
export class DeliveryError extends Error {
  override name = 'DeliveryError'
  readonly retryable: boolean
  readonly permanent: boolean
  readonly retryAfterMs: number | undefined
  readonly status: number | undefined
  readonly away: string | undefined

  constructor(
    message: string,
    options: {
      retryable: boolean
      permanent?: boolean
      retryAfterMs?: number | undefined
      status?: number
      away?: string
      cause?: unknown
    },
  ) {
    super(message, { cause: options.cause })
    this.retryable = options.retryable
    this.permanent = options.permanent ?? false
    this.retryAfterMs = options.retryAfterMs
    this.status = options.status
    this.away = options.away
  }
}

/** Of an HTTP answer that is not a success. `permanent` lists the statuses that the destination means for good. */
export function refusal(response: FetchResponse, permanent: readonly number[], now: number): DeliveryError {
  const { status, headers } = response
  const isPermanent = permanent.includes(status)
  const rests = status === 429 || status === 503
  return new DeliveryError(`answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd(), {
    retryable: !isPermanent,
    permanent: isPermanent,
    status,
    retryAfterMs: rests ? parseRetryAfter([headers['retry-after']].flat()[0], now) : undefined,
  })
}

/** Seconds or an HTTP date. */
function parseRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
