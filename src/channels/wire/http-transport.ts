// What transports over HTTP have in common: an alert becomes one request, and the answer says whether it was accepted,
// is to be retried, will never be accepted, or whether the destination is gone. Retrying what cannot succeed would make
// the following recovery wait.

import type { Static, TSchema } from 'typebox'
import { jsonText } from '../../kit/characters.ts'
import { type Alert, alertOf, type Templates } from '../../messages/alert.ts'
import type { Message } from '../../messages/message.ts'
import { cut, oneLine } from '../../messages/text.ts'
import type { FetchRequest, FetchResponse } from '../../outbound/guarded-fetch.ts'
import { DeliveryError, retryAfterMs, type SendContext, statusText, type Transport } from './transport.ts'

/** One of `json`, `form` and neither. */
export type ApiRequest = {
  url: string
  method?: FetchRequest['method']
  headers?: Record<string, string>
  json?: unknown
  form?: Record<string, string>
}

/** What the body of an answer says beyond its status. */
type AnswerMeaning = {
  /** The vendor's own words. */
  says?: string | undefined
  retryAfterMs?: number | undefined
  /**
   * The vendor itself says that the destination is permanently gone. A status alone proves nothing: any proxy on the
   * way can answer any status.
   */
  gone?: boolean | undefined
  /** The message was not accepted, whatever the status says. */
  failed?: boolean | undefined
  /** The answer looks like refused credentials, but is not. */
  busy?: boolean | undefined
}

export type VendorAnswers = {
  /** `body` is undefined if it is not JSON. */
  read?(body: unknown, response: FetchResponse, now: number): AnswerMeaning
}

/** Refused credentials may be a temporary fault of the vendor. If it lasts, only new credentials help. */
const refusedCredentials = [401, 403]
/** The same request would always be refused. */
const refusedRequests = [400, 405, 406, 411, 413, 414, 415, 422, 431]

/** The statuses with which vendors refuse a request that they cannot parse. */
const malformedRequests = [400, 422]

const wordsMax = 150

export function httpTransport<S extends TSchema>(options: {
  kind: string
  category: Transport['category']
  settings: S
  pace?: Transport['pace']
  alerts?: Transport['alerts']
  problem?: Transport<Static<S>>['problem']
  request(alert: Alert, settings: Static<S>): ApiRequest | { suppressed: string }
  /** The same request without markup. It is sent once if the vendor refuses the one with markup as malformed. */
  plainly?(alert: Alert, settings: Static<S>): ApiRequest
  answers?: VendorAnswers
}): Transport<Static<S>> {
  const { request, plainly, answers = {}, ...rest } = options
  return {
    ...rest,
    async send(message, settings, context) {
      const alert = alertFor(message, settings, context)
      const asked = request(alert, settings)
      if ('suppressed' in asked) return asked
      await exchangeMarked(asked, plainly && (() => plainly(alert, settings)), answers, context)
      return 'sent'
    },
  }
}

export function alertFor(message: Message, settings: unknown, { now }: Pick<SendContext, 'now'>): Alert {
  return alertOf(message, now(), settings as Templates)
}

/** Rejects with DeliveryError for an answer that is not a success. */
export async function exchange(
  asked: ApiRequest,
  answers: VendorAnswers,
  context: SendContext,
): Promise<FetchResponse> {
  const { fetch, signal, now } = context
  const { url, method = 'POST', json, form } = asked
  const typed = json !== undefined ? jsonType : form !== undefined ? formType : {}
  const body = json !== undefined ? jsonText(json) : form && new URLSearchParams(form).toString()
  const headers = { ...typed, ...asked.headers }
  const response = await fetch(url, { method, headers, signal, ...(body !== undefined && { body }) })
  const reading = answers.read?.(jsonOf(response), response, now()) ?? {}
  const taken = response.status >= 200 && response.status < 300
  if (taken && !reading.failed && !reading.gone) return response
  throw failure(response, reading, now())
}

/** As `exchange`, with one more attempt without markup: a fault in Flatline's markup must not lose an alert. */
export async function exchangeMarked(
  asked: ApiRequest,
  plainly: (() => ApiRequest | undefined) | undefined,
  answers: VendorAnswers,
  context: SendContext,
): Promise<FetchResponse> {
  try {
    return await exchange(asked, answers, context)
  } catch (error) {
    const other = isMalformed(error) ? plainly?.() : undefined
    if (other === undefined) throw error
    return await exchange(other, answers, context).catch((second: unknown) => {
      throw isMalformed(second) ? error : second
    })
  }
}

const isMalformed = (error: unknown) =>
  error instanceof DeliveryError &&
  !error.permanent &&
  error.status !== undefined &&
  malformedRequests.includes(error.status)

const jsonType = { 'content-type': 'application/json' }
const formType = { 'content-type': 'application/x-www-form-urlencoded' }

function failure(response: FetchResponse, reading: AnswerMeaning, now: number): DeliveryError {
  const { status } = response
  const permanent = reading.gone ?? false
  const words = reading.says === undefined ? '' : cut(oneLine(reading.says), wordsMax)
  return new DeliveryError(words === '' ? statusText(status) : `${statusText(status)}: ${words}`, {
    permanent,
    suspect: refusedCredentials.includes(status) && reading.says !== undefined && !reading.busy,
    retryable: !permanent && !refusedRequests.includes(status),
    retryAfterMs: reading.retryAfterMs ?? retryAfterMs(response, now),
    status,
  })
}

function jsonOf({ body }: FetchResponse): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** A string or number deep in an answer; undefined if there is none. */
export function pick(body: unknown, ...path: (string | number)[]): string | number | undefined {
  let value = body
  for (const key of path) value = (value as Record<string | number, unknown> | null | undefined)?.[key]
  return typeof value === 'string' || typeof value === 'number' ? value : undefined
}

/** The items of a list in an answer, as one text; undefined if there is none. */
export function listed(body: unknown, key: string): string | undefined {
  const list = (body as Record<string, unknown> | null | undefined)?.[key]
  return Array.isArray(list) ? list.map(String).join('; ') : undefined
}

export const words = (value: string | number | undefined) => (value === undefined ? undefined : String(value))

export const seconds = (value: string | number | undefined) =>
  value !== undefined && Number.isFinite(Number(value)) ? Math.ceil(Number(value) * 1000) : undefined

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
export const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})
