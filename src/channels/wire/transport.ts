// A transport turns one Message into one exchange with one kind of destination. Retries, time-outs, limits and the
// guard against private addresses are implemented once for all kinds, outside of the transports.

import { STATUS_CODES } from 'node:http'
import { type TProperties, type TSchema, Type } from 'typebox'
import type { Pace } from '../../kit/pace.ts'
import type { Message } from '../../messages/message.ts'
import type { FetchResponse, GuardedFetch } from '../../outbound/guarded-fetch.ts'
import type { WantedAlerts } from '../wanted-alerts.ts'
import type { Smtp } from './smtp.ts'

/** What the operator has configured for channels that need it. */
export type Capabilities = { smtp: Smtp | null; shell: boolean }

export type SendContext = {
  fetch: GuardedFetch
  signal: AbortSignal
  now: () => number
  /** The time limit of an exchange that does not use `fetch`. */
  timeoutMs: number
  /**
   * Throws if the message must not be sent any more. `fetch` calls it; a transport without `fetch` calls it right
   * before it sends.
   */
  beforeSend: () => void
  capabilities: Capabilities
}

/** `field` is a path below the settings. */
export type SettingsProblem = { field: string; rule: string }

/**
 * Suppressed: the settings ask for no message here. Forwarded: these channels of the same project are to send it instead.
 */
export type Sent = 'sent' | { suppressed: string } | { forwarded: readonly string[] }

export type Transport<Settings = never> = {
  kind: string
  /** In chat and mail one message can report several alerts of a storm; incident tools keep an incident open, phones ring. */
  category: 'chat' | 'mail' | 'push' | 'incident' | 'phone' | 'custom'
  settings: TSchema
  /** Which alerts a channel of the kind wants, unless its owner says otherwise. */
  alerts?: WantedAlerts
  /** The rate that the vendor documents for one channel, if any. */
  pace?: Pace
  /** Rules that the schema cannot express, for settings that match it. */
  problem?(settings: Settings): SettingsProblem | undefined
  /** What the operator would have to configure before channels of this kind can exist. */
  unavailable?(capabilities: Capabilities): string | undefined
  /** The address that gets the mails, for kinds that send mail. */
  recipient?(settings: Settings): string
  /** Channels of the same project that the settings name. */
  channels?(settings: Settings): readonly string[]
  /** Rejects with DeliveryError, or with what `fetch` rejected with. */
  send(message: Message, settings: Settings, context: SendContext): Promise<Sent>
}

/** Settings of every kind that sends Flatline's texts. */
const common = {
  title: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
  body: Type.Optional(Type.String({ minLength: 1, maxLength: 4000 })),
}

export const settingsOf = <Own extends TProperties>(own: Own) =>
  Type.Object({ ...common, ...own } as Omit<typeof common, keyof Own> & Own, { additionalProperties: false })

/** Never shown again. */
export const secret = (extra: { maxLength?: number; pattern?: string; rule?: string } = {}) =>
  Type.String({ minLength: 1, maxLength: 500, secret: true, ...extra })

/** A secret that is sent unchanged in a header. */
export const token = () => secret({ pattern: '^[!-~]+$', rule: 'must be printable ASCII characters without spaces' })

const urlPattern = '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s@\\u0000-\\u001f\\u007f]+$'
const urlRule = 'must be an http:// or https:// URL without spaces or credentials'

/** The destination. With `secret` it is a credential: only its host is ever shown. */
export const address = (extra: { secret?: 'url'; default?: string } = {}) =>
  Type.String({ maxLength: 1000, pattern: urlPattern, rule: urlRule, url: true, ...extra })

/** The base address of a vendor or of a user's own server: a path that is appended begins with a slash. */
export const base = (url: string) => url.replace(/\/+$/, '')

/**
 * The message is shown to the channel's owner: short, without secrets or paths. `permanent`: the destination is
 * permanently gone, and the channel is switched off. `suspect`: the channel is switched off if this answer lasts for a
 * while. `status` is the status of the answer, `unreachable` one word why there was none; both are absent if nothing was
 * sent.
 */
export class DeliveryError extends Error {
  override name = 'DeliveryError'
  readonly retryable: boolean
  readonly permanent: boolean
  readonly suspect: boolean
  readonly retryAfterMs: number | undefined
  readonly status: number | undefined
  readonly unreachable: string | undefined

  constructor(
    message: string,
    options: {
      retryable: boolean
      permanent?: boolean
      suspect?: boolean
      retryAfterMs?: number | undefined
      status?: number
      unreachable?: string
      cause?: unknown
    },
  ) {
    super(message, { cause: options.cause })
    this.retryable = options.retryable
    this.permanent = options.permanent ?? false
    this.suspect = options.suspect ?? false
    this.retryAfterMs = options.retryAfterMs
    this.status = options.status
    this.unreachable = options.unreachable
  }
}

/**
 * The error for an HTTP answer that is not a success. `permanent` lists the statuses that the vendor uses for permanent
 * failures.
 */
export function refusal(response: FetchResponse, permanent: readonly number[], now: number): DeliveryError {
  const { status } = response
  const isPermanent = permanent.includes(status)
  return new DeliveryError(statusText(status), {
    retryable: !isPermanent,
    permanent: isPermanent,
    status,
    retryAfterMs: retryAfterMs(response, now),
  })
}

export const statusText = (status: number) => `answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd()

/** For how long a busy destination asks for a pause: seconds or an HTTP date. */
export function retryAfterMs({ status, headers }: FetchResponse, now: number): number | undefined {
  const text = [headers['retry-after']].flat()[0]?.trim()
  if (text === undefined || (status !== 429 && status !== 503)) return undefined
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000)
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
