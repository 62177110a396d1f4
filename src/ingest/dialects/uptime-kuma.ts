// The push monitor of Uptime Kuma (https://github.com/louislam/uptime-kuma/blob/master/server/routers/api-router.js):
// GET /api/push/<token>?status=up&msg=OK&ping=, by any method. The token is the `push_token` of a check, and the only
// credential. Any status but exactly `up` is a failure; `ping`, a number of milliseconds, is validated before the token
// is looked up, and not kept. A paused check answers as if it did not exist. Every refusal is a 404 with `ok: false`,
// except that a heartbeat that could not be stored is a 503, so that clients retry.

import { Type } from 'typebox'
import { json, withExample } from '../../http/schemas/api-schema.ts'
import { signatureTexts } from '../signing/verification.ts'
import type { ParsedPing, PingDialect, PingRequest, Refusal, Reply, Result } from './dialect.ts'

const isToken = /^[A-Za-z0-9_-]{16,64}$/
const pingMax = 100_000_000_000
const headers = { 'content-type': 'application/json; charset=utf-8', 'x-frame-options': 'SAMEORIGIN' }
const notFound: Refusal = { status: 404, text: 'Monitor not found or not active.' }
const invalidPing: Refusal = { status: 404, text: `Invalid ping value. Must be between 0 and ${pingMax} ms.` }

const Answer = Type.Object({ ok: Type.Boolean(), msg: Type.Optional(Type.String()) })
const push = {
  operationId: 'push',
  tags: ['pings'],
  summary: 'A heartbeat, as Uptime Kuma takes it',
  described: {
    params: Type.Object({
      token: withExample(
        Type.String({ pattern: isToken.source }),
        'pQ4mC1kF7uJ2xS9aZ3rT6wB8nE5vH0dY',
        'The `push_token` of the check',
      ),
    }),
    querystring: Type.Object({
      status: Type.Optional(withExample(Type.String(), 'up', '`up`, the default; anything else is a failure')),
      msg: Type.Optional(withExample(Type.String(), 'OK', 'A message, kept as the body')),
      ping: Type.Optional(withExample(Type.String(), '42', 'Response time in milliseconds')),
    }),
  },
  response: { 200: json('Recorded: the heartbeat is on disk', Answer, { ok: true }) },
  refusals: {
    401: json('The check requires a signature', Answer, { ok: false, msg: signatureTexts.missing }),
    404: json('No such check, or it is paused', Answer, { ok: false, msg: notFound.text }),
    503: json('Not recorded; Retry-After says when to try again', Answer, { ok: false, msg: 'too many heartbeats' }),
  },
}

export const uptimeKuma: PingDialect = {
  kind: 'pings',
  name: 'Uptime Kuma push',
  source: 'https://github.com/louislam/uptime-kuma/blob/master/server/routers/api-router.js',
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  routes: ['/api/push/:token', '/api/push/:token/'].map((path, i) => ({
    path,
    label: '/api/push/:token',
    schema: push,
    isAlias: i > 0,
  })),
  body: 'ignored',
  claims: /^\/api\/push\//,
  parse,
  answer,
}

function parse({ params, query }: PingRequest): ParsedPing {
  const ping = Number.parseFloat(String(query.ping ?? ''))
  if (ping < 0 || ping > pingMax) return { to: null, refusal: invalidPing }
  const { token = '' } = params
  if (!isToken.test(token)) return { to: null, refusal: notFound }
  const isUp = query.status === undefined || query.status === '' || query.status === 'up'
  const message = String(query.msg ?? '')
  const body = message === '' ? null : Buffer.from(message)
  return {
    to: { by: 'token', token },
    content: { kind: isUp ? 'success' : 'fail', exitStatus: null, rid: null, body },
  }
}

function answer(result: Result): Reply {
  if (result === 'unknown' || result === 'ambiguous') return refuse(notFound)
  // An address that no route can have, which is a 400 elsewhere.
  if (typeof result === 'object' && 'status' in result) return refuse(result.status === 400 ? notFound : result)
  if (typeof result === 'object' && 'limitedForMs' in result)
    return refuse({ status: 429, text: 'rate limit exceeded', retryAfterS: Math.ceil(result.limitedForMs / 1000) })
  if (typeof result === 'object' && 'unsigned' in result)
    return refuse({ status: 401, text: signatureTexts[result.unsigned] })
  if (typeof result === 'object' && 'quota' in result) return refuse({ status: 429, text: result.message })
  return { status: 200, headers, body: '{"ok":true}' }
}

function refuse({ status, text, retryAfterS }: Refusal): Reply {
  const retry = retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }
  return { status, headers: { ...headers, ...retry }, body: JSON.stringify({ ok: false, msg: text }) }
}
