// The pings of Healthchecks (https://healthchecks.io/docs/http_api/): by uuid, or by ping key and slug; below /ping/
// and on the bare root. The order in which Healthchecks checks for errors is part of the dialect: an impossible slug
// first, then the key, then the rest, which is refused only if there is a check.

import { last, type Query } from '../../../http/schemas/query.ts'
import { signatureTexts } from '../../signing/verification.ts'
import type { HeartbeatContent, ParsedPing, PingDialect, PingRequest, Refusal, Reply, Result } from '../dialect.ts'
import { pingCall } from './api-schema.ts'
import { stateProblem, withState } from './cronitor-state.ts'
import { isSlug, parseAddress, parseRid } from './ping-address.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT']
const pingKeyLength = 22
const noStore = 'max-age=0, no-cache, no-store, must-revalidate, private'
// A proxy that cached a refusal would repeat it for a check that is created right after.
const refused = { 'cache-control': noStore, 'content-type': 'text/plain; charset=utf-8' }
const accepted = { ...refused, 'access-control-allow-origin': '*' }
const notFound: Refusal = { status: 404, text: 'not found' }
const expires = createExpires()

// All other addresses are on the bare root too, so only a part with the length of a ping key or of a uuid counts as
// one.
const prefixes = [
  { prefix: '/ping/:first', label: '/ping/:id' },
  { prefix: '/:first(^(?:[\\w-]{22}|[\\w-]{36})$)', label: '/:id' },
]
const suffixes = [
  { suffix: '', end: '' },
  { suffix: '/', end: '/' },
  { suffix: '/:second', end: '/:action' },
  { suffix: '/:second/:third', end: '/:slug/:action' },
] as const

export const healthchecks: PingDialect = {
  kind: 'pings',
  name: 'Healthchecks over HTTP',
  source: 'https://healthchecks.io/docs/http_api/',
  methods,
  routes: prefixes.flatMap(({ prefix, label }) =>
    suffixes.map(({ suffix, end }) => ({
      path: prefix + suffix,
      label: label + end,
      schema: pingCall(prefix, suffix),
      isAlias: false,
    })),
  ),
  body: 'kept',
  // Only ping addresses have this form, whether or not a check has them.
  claims: /^\/(?:ping(?:\/|$)|(?:[\w-]{22}|[\w-]{36})(?:[/?]|$))/,
  parse,
  answer,
}

function parse({ params, query }: PingRequest): ParsedPing {
  const { first = '', second, third } = params
  const address = parseAddress(first, second, third)
  if (address === null) return { to: null, refusal: notFound }
  const { to } = address
  const content = readSignal(address, query)
  if ('checkId' in to) {
    const target = { by: 'id', checkId: to.checkId, within: null } as const
    return 'text' in content ? { to: target, refusal: content } : { to: target, content }
  }
  const { pingKey, slug } = to
  if (!isSlug(slug)) return { to: null, refusal: invalid('invalid url format') }
  if (pingKey.length !== pingKeyLength) return { to: null, refusal: notFound }
  const target = { by: 'slug', pingKey, slug, create: last(query.create) === '1' } as const
  return 'text' in content ? { to: target, refusal: content } : { to: target, content }
}

/** The content of the ping, or why it is refused. */
function readSignal(
  { action, isPlain }: NonNullable<ReturnType<typeof parseAddress>>,
  query: Query,
): HeartbeatContent | Refusal {
  if (action === 'invalid') return invalid('invalid url format')
  const rid = parseRid(last(query.rid))
  if (rid === undefined) return invalid('invalid uuid format')
  const state = last(query.state)
  if (state === undefined) return { ...action, rid }
  const stated = withState(action, state, isPlain)
  return stated === null ? invalid(stateProblem) : { ...stated, rid }
}

const invalid = (text: string): Refusal => ({ status: 400, text })

function answer(result: Result, { bodyLimitBytes }: { bodyLimitBytes: number }): Reply {
  if (result === 'unknown') return refuse(notFound)
  if (result === 'ambiguous') return refuse({ status: 409, text: 'ambiguous slug' })
  if (typeof result === 'object') {
    if ('status' in result) return refuse(result)
    if ('quota' in result) {
      const { retryAfterS, message } = result
      return retryAfterS === undefined
        ? refuse({ status: 403, text: message })
        : refuse({ status: 429, text: message, retryAfterS })
    }
    if ('unsigned' in result) return refuse({ status: 401, text: signatureTexts[result.unsigned] })
    if ('limitedForMs' in result)
      return refuse({ status: 429, text: 'rate limit exceeded', retryAfterS: Math.ceil(result.limitedForMs / 1000) })
  }
  const isCreated = result !== 'duplicate' && result.created
  const headers = { ...accepted, 'ping-body-limit': String(bodyLimitBytes), expires: expires() }
  return isCreated ? { status: 201, headers, body: 'Created' } : { status: 200, headers, body: 'OK' }
}

function refuse({ status, text, retryAfterS }: Refusal): Reply {
  const headers = retryAfterS === undefined ? refused : { ...refused, 'retry-after': String(retryAfterS) }
  return { status, headers, body: text }
}

/** The time in the format of headers, formatted again only when the second has changed. */
function createExpires(): () => string {
  let second = 0
  let text = ''
  return () => {
    const now = Math.floor(Date.now() / 1000)
    if (now !== second) {
      second = now
      text = new Date(now * 1000).toUTCString()
    }
    return text
  }
}
