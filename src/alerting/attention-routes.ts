// Acknowledging and snoozing, by key and by the links in alerts. A link shows a page; only its buttons act.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { bothForms } from '../http/slashes.ts'
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

  linkRoutes(app, attention)
}

function linkRoutes(app: Parameters<typeof attentionRoutes>[0], attention: Attention): void {
  const access = 'public'

  for (const { url, form } of bothForms('/acknowledge/:token')) {
    const route = { config: { access, ...form }, schema: { params: Token } } as const

    app.get(url, route, async (request, reply) => {
      reply.type('text/html; charset=utf-8')
      const { token } = request.params
      return pageOf(await attention.look(token), `${app.sitePath()}/acknowledge/${token}`)
    })

    app.post(url, route, async (request, reply) => {
      await attention.acknowledgeByLink(visitor(request), request.params.token)
      reply.type('text/html; charset=utf-8')
      return page('<p>Acknowledged. Reminders and escalation of this outage have ended.</p>')
    })
  }

  for (const { url, form } of bothForms('/acknowledge/:token/snooze/:hours')) {
    const route = { config: { access, ...form }, schema: { params: SnoozeLink } } as const

    app.post(url, route, async (request, reply) => {
      const { token, hours } = request.params
      await attention.snoozeByLink(visitor(request), token, hours * 3600)
      reply.type('text/html; charset=utf-8')
      return page(`<p>Snoozed for ${hours} h.</p>`)
    })
  }
}

function pageOf(look: Awaited<ReturnType<Attention['look']>>, address: string): string {
  const { name, goesOn, acknowledged, snoozed_until: until } = look
  const state = !goesOn
    ? 'This outage is over.'
    : acknowledged
      ? 'Somebody has acknowledged this outage.'
      : 'It is down.'
  const snoozed = until === null ? '' : `<p>Snoozed until ${escaped(until)}.</p>`
  const forms = [
    ...(goesOn && !acknowledged ? [formOf(address, 'Acknowledge')] : []),
    ...(goesOn ? snoozeHours : []).map((hours) => formOf(`${address}/snooze/${hours}`, `Snooze for ${hours} h`)),
  ]
  return page(`<h1>${escaped(name)}</h1><p>${state}</p>${snoozed}${forms.join('')}`)
}

const visitor = (request: FastifyRequest) => ({ actor: 'link', requestId: request.id, address: request.clientAddress })

function formOf(action: string, label: string): string {
  return `<form method="post" action="${escaped(action)}"><button>${escaped(label)}</button></form>`
}
