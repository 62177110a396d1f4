// Acknowledging and snoozing, by key and by the links in alerts. A link shows a page; only its buttons act.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Attention } from './attention.ts'
import { escaped, page } from './page.ts'
import { ChannelId } from './schema.ts'

const closed = { additionalProperties: false }
const Snooze = Type.Object({ for: Type.Integer({ minimum: 0, maximum: 365 * 86_400 }) }, closed)
const Token = Type.Object({ token: Type.String({ maxLength: 200 }) })
const SnoozeLink = Type.Object({ ...Token.properties, hours: Type.Integer({ minimum: 1, maximum: 168 }) })
const snoozeHours = [1, 4, 24]

export const attentionRoutes: FastifyPluginAsyncTypebox<{ attention: Attention }> = async (app, { attention }) => {
  for (const slash of ['', '/']) {
    const schema = { params: ChannelId }
    const path = `/api/v3/checks/:id`

    app.get(`${path}/attention${slash}`, { config: { access: 'write' }, schema }, async (request) => {
      return attention.get(request.caller.projectId, request.params.id)
    })

    app.post(`${path}/acknowledge${slash}`, { config: { access: 'write' }, schema }, async (request) => {
      return attention.acknowledge(request.caller, request.params.id)
    })

    const body = { schema: { ...schema, body: Snooze } }
    app.post(`${path}/snooze${slash}`, { config: { access: 'write' }, ...body }, async (request) => {
      return attention.snooze(request.caller, request.params.id, request.body.for)
    })
  }

  // What a form without fields sends.
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, _body, done) => {
    done(null, null)
  })
  const config = { access: 'public' } as const

  app.get('/acknowledge/:token', { config, schema: { params: Token } }, async (request, reply) => {
    const { name, goesOn, acknowledged, snoozed_until: until } = await attention.look(request.params.token)
    const { token } = request.params
    const state = !goesOn
      ? 'This outage is over.'
      : acknowledged
        ? 'Somebody has acknowledged this outage.'
        : 'It is down.'
    const snoozed = until === null ? '' : `<p>Snoozed until ${escaped(until)}.</p>`
    const forms = [
      ...(goesOn && !acknowledged ? [form(`/acknowledge/${token}`, 'Acknowledge')] : []),
      ...snoozeHours.map((hours) => form(`/acknowledge/${token}/snooze/${hours}`, `Snooze for ${hours} h`)),
    ]
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-store')
    return page(`<h1>${escaped(name)}</h1><p>${state}</p>${snoozed}${forms.join('')}`)
  })

  app.post('/acknowledge/:token', { config, schema: { params: Token } }, async (request, reply) => {
    await attention.acknowledgeByLink(visitor(request), request.params.token)
    reply.type('text/html; charset=utf-8')
    return page('<p>Acknowledged. Reminders and escalation of this outage have ended.</p>')
  })

  app.post('/acknowledge/:token/snooze/:hours', { config, schema: { params: SnoozeLink } }, async (request, reply) => {
    const { token, hours } = request.params
    await attention.snoozeByLink(visitor(request), token, hours * 3600)
    reply.type('text/html; charset=utf-8')
    return page(`<p>Snoozed for ${hours} h.</p>`)
  })
}

const visitor = (request: FastifyRequest) => ({ actor: 'link', requestId: request.id, address: request.ip })

function form(action: string, label: string): string {
  return `<form method="post" action="${escaped(action)}"><button>${escaped(label)}</button></form>`
}
