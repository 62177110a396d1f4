// A plain webhook, in one of two styles: `url` gets Flatline's own JSON document for every event, signed if there is a
// secret; `url_down` and `url_up` get the user's own text, with Healthchecks' placeholders. Only 410 means that the
// destination is permanently gone.

import { createHmac } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { jsonText } from '../../kit/characters.ts'
import { alertOf } from '../../messages/alert.ts'
import { bodyOf, plain } from '../../messages/markup.ts'
import type { Message } from '../../messages/message.ts'
import { canContainNotice, placeholdersOf } from '../../messages/placeholders.ts'
import type { FetchRequest } from '../../outbound/guarded-fetch.ts'
import { refusal, type SettingsProblem, secret, type Transport } from '../wire/transport.ts'

const Url = Type.Optional(Type.String({ maxLength: 1000, secret: 'url' }))
const Headers = Type.Optional(
  Type.Record(Type.String(), Type.String({ maxLength: 1000, secret: true }), { maxProperties: 30 }),
)
const Method = Type.Optional(Type.Enum(['GET', 'POST', 'PUT']))
const Body = Type.Optional(Type.String({ maxLength: 1000, secret: true }))

const Settings = Type.Object(
  {
    url: Url,
    headers: Headers,
    secret: Type.Optional(secret({ maxLength: 200 })),
    url_down: Url,
    method_down: Method,
    headers_down: Headers,
    body_down: Body,
    url_up: Url,
    method_up: Method,
    headers_up: Headers,
    body_up: Body,
  },
  { additionalProperties: false },
)

type WebhookSettings = Static<typeof Settings>
type Request = { url: string } & Omit<FetchRequest, 'signal'>

const directions = ['down', 'up'] as const
const permanentStatuses = [410]
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/
/** Headers of the connection, and those that identify Flatline. */
const reservedHeaders =
  /^(connection|content-length|expect|host|idempotency-key|keep-alive|te|trailer|transfer-encoding|upgrade|x-flatline-signature)$/i

export const webhook: Transport<WebhookSettings> = {
  kind: 'webhook',
  category: 'custom',
  settings: Settings,
  problem,

  async send(message, settings, { fetch, signal, now }) {
    const request = settings.url ? ownRequest(message, settings, now()) : styledRequest(message, settings)
    if ('suppressed' in request) return request
    const { url, ...rest } = request
    const { delivery, requestId } = message
    const correlation: Record<string, string> = requestId === undefined ? {} : { 'x-request-id': requestId }
    const headers = { ...correlation, ...rest.headers, 'idempotency-key': delivery.id }
    const response = await fetch(url, { ...rest, headers, signal })
    if (response.status >= 200 && response.status < 300) return 'sent'
    throw refusal(response, permanentStatuses, now())
  },
}

function problem(settings: WebhookSettings): SettingsProblem | undefined {
  const own = ['url', 'headers', 'secret'].find((field) => field in settings)
  const styled = Object.keys(settings).find((field) => /^(url|method|headers|body)_(down|up)$/.test(field))
  if (own !== undefined && styled !== undefined)
    return { field: styled, rule: `must not be combined with ${own}: use url, or url_down and url_up` }
  if (!settings.url && !settings.url_down && !settings.url_up)
    return { field: 'url', rule: 'is required, or one of url_down and url_up' }
  return (
    urlProblem('url', settings.url) ??
    headersProblem('headers', settings.headers) ??
    directions.map((direction) => directionProblem(direction, settings)).find((found) => found !== undefined)
  )
}

function directionProblem(direction: 'down' | 'up', settings: WebhookSettings): SettingsProblem | undefined {
  const body = settings[`body_${direction}`]
  if (body && (settings[`method_${direction}`] ?? 'GET') === 'GET')
    return { field: `body_${direction}`, rule: `needs method_${direction} to be POST or PUT` }
  const url = `url_${direction}` as const
  const headers = `headers_${direction}` as const
  return urlProblem(url, settings[url]) ?? headersProblem(headers, settings[headers])
}

// The parser removes them silently.
const controlCharacter = /\p{Cc}/u

function urlProblem(field: string, text: string | undefined): SettingsProblem | undefined {
  if (text === undefined || text === '') return undefined
  const url = controlCharacter.test(text) ? null : URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return { field, rule: 'must be an http:// or https:// URL' }
  if (url.username || url.password)
    return { field, rule: 'must not contain credentials, use an Authorization header instead' }
  return undefined
}

function headersProblem(field: string, headers: Record<string, string> = {}): SettingsProblem | undefined {
  for (const [name, value] of Object.entries(headers)) {
    if (!headerName.test(name)) return { field, rule: 'contains a name that is not a valid header name' }
    if (reservedHeaders.test(name)) return { field: `${field}.${name}`, rule: 'is set by Flatline itself' }
    if (!headerValue.test(value))
      return { field: `${field}.${name}`, rule: 'must be Latin-1 without control characters' }
  }
  return undefined
}

/** The address may be known to others: with the secret the receiver can verify who sent the document, and when. */
function ownRequest(message: Message, settings: WebhookSettings, now: number): Request {
  const body = jsonText(documentOf(message, now))
  const headers = merged({ 'content-type': 'application/json' }, settings.headers)
  if (settings.secret !== undefined) {
    const at = Math.floor(now / 1000)
    const mac = createHmac('sha256', settings.secret).update(`${at}.${body}`).digest('hex')
    headers['x-flatline-signature'] = `t=${at},v1=${mac}`
  }
  return { url: settings.url as string, method: 'POST', headers, body }
}

function documentOf(message: Message, now: number): object {
  const { event, incident, delivery, links } = message
  const alert = alertOf(message, now)
  const content = {
    incident,
    title: alert.title,
    text: bodyOf({ ...alert, links: [] }, plain),
    ...(links && { links }),
  }
  if (message.event === 'notice') return { event, notice: message.notice, ...content, delivery }
  const { check, flip, severity, outage, escalated, reminder, others, blind, lastPing } = message
  return {
    event,
    check: check.document(flip.to),
    flip,
    ...(severity && { severity }),
    ...(outage && { outage }),
    ...(reminder && { reminder }),
    ...(escalated && { escalated }),
    ...(others && { others: others.map((one) => ({ check: one.check.document(one.flip.to), flip: one.flip })) }),
    ...(blind && { blind }),
    ...(lastPing && { last_ping: { exit_status: lastPing.exitStatus, output: alert.output } }),
    ...content,
    delivery,
  }
}

function styledRequest(message: Message, settings: WebhookSettings): Request | { suppressed: string } {
  const direction = directionOf(message, settings)
  const url = settings[`url_${direction}`]
  if (!url) return { suppressed: `the channel has no url_${direction}` }
  const fill = placeholdersOf(message, direction)
  const method = settings[`method_${direction}`] ?? 'GET'
  const body = method === 'GET' ? undefined : settings[`body_${direction}`]
  const headers = Object.entries(settings[`headers_${direction}`] ?? {})
  const templates = [url, body, ...headers.map(([, value]) => value)]
  if (message.event === 'notice' && !canContainNotice(templates))
    return { suppressed: 'a notice, and the channel has no $NAME, $BODY or $JSON for its text' }
  return {
    url: fill.url(url),
    method,
    headers: merged({}, Object.fromEntries(headers.map(([name, value]) => [name, fill.header(value, headers.length)]))),
    ...(body === undefined ? {} : { body: fill.body(body) }),
  }
}

function directionOf(message: Message, settings: WebhookSettings): 'down' | 'up' {
  if (message.event === 'notice') return message.notice.severity === 'resolved' ? 'up' : 'down'
  // A test of a channel that only gets recoveries is a recovery.
  return message.event === 'up' || (message.event === 'test' && !settings.url_down) ? 'up' : 'down'
}

function merged(defaults: Record<string, string>, own: Record<string, string> = {}): Record<string, string> {
  return { ...defaults, ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name.toLowerCase(), value])) }
}
