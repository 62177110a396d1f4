// Acknowledging and snoozing, by key and by the links in alerts. A link shows a page; only its buttons act.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { bothForms } from '../../http/slashes.ts'
import { linkAccess, sendPage } from '../../messages/link-routes.ts'
import { button, heading } from '../../messages/page.ts'
import { instantText } from '../../messages/text.ts'
import { ById, LinkToken } from '../schema.ts'
import type { Acknowledgements } from './acknowledgements.ts'

const closed = { additionalProperties: false }
const Snooze = Type.Object({ for: Type.Integer({ minimum: 0, maximum: 365 * 86_400 }) }, closed)
const SnoozeLink = Type.Object({ ...LinkToken.properties, hours: Type.Integer({ minimum: 1, maximum: 168 }) })
const snoozeHours = [1, 4, 24]

export const acknowledgementRoutes: FastifyPluginAsyncTypebox<{ acknowledgements: Acknowledgements }> = async (
  app,
  { acknowledgements },
) => {
  for (const slash of ['', '/']) {
    const schema = { params: ById }
    const path = `/api/v3/checks/:id`

    app.get(`${path}/attention${slash}`, { config: { access: 'write' }, schema }, async (request) => {
      return acknowledgements.get(request.caller.projectId, request.params.id)
    })

    app.post(`${path}/acknowledge${slash}`, { config: { access: 'write' }, schema }, async (request) => {
      return acknowledgements.acknowledge(request.caller, request.params.id)
    })

    const body = { schema: { ...schema, body: Snooze } }
    app.post(`${path}/snooze${slash}`, { config: { access: 'write' }, ...body }, async (request) => {
      return acknowledgements.snooze(request.caller, request.params.id, request.body.for)
    })
  }

  linkRoutes(app, acknowledgements)
}

function linkRoutes(app: Parameters<typeof acknowledgementRoutes>[0], acknowledgements: Acknowledgements): void {
  for (const { url, form } of bothForms('/acknowledge/:token')) {
    const route = { config: { ...linkAccess, ...form }, schema: { params: LinkToken } } as const

    app.get(url, route, async (request, reply) => {
      const { token } = request.params
      return sendPage(reply, buttonsOf(await acknowledgements.look(token), `${app.sitePath()}/acknowledge/${token}`))
    })

    app.post(url, route, async (request, reply) => {
      const { token } = request.params
      await acknowledgements.acknowledgeByLink(visitor(request), token)
      const { name, project } = await acknowledgements.look(token)
      return sendPage(
        reply,
        `${heading(name, project)}<p>Acknowledged. Reminders and escalation of this outage have ended.</p>`,
      )
    })
  }

  for (const { url, form } of bothForms('/acknowledge/:token/snooze/:hours')) {
    const route = { config: { ...linkAccess, ...form }, schema: { params: SnoozeLink } } as const

    app.post(url, route, async (request, reply) => {
      const { token, hours } = request.params
      await acknowledgements.snoozeByLink(visitor(request), token, hours * 3600)
      const { name, project, snoozed_until: until } = await acknowledgements.look(token)
      return sendPage(reply, heading(name, project) + snoozedText(until))
    })
  }
}

function buttonsOf(look: Awaited<ReturnType<Acknowledgements['look']>>, address: string): string {
  const { name, project, goesOn, acknowledged, snoozed_until: until } = look
  const begin = heading(name, project)
  if (!goesOn) return `${begin}<p>This outage is over.</p>${snoozedText(until)}`
  const acknowledging = acknowledged
    ? '<p>Somebody has acknowledged this outage.</p>'
    : `<p>It is down. If you acknowledge the outage, its reminders and its escalation end.</p>${button('Acknowledge', address)}`
  const snoozing = snoozeHours.map((hours) => button(`Snooze for ${hours} h`, `${address}/snooze/${hours}`)).join('')
  return `${begin}${acknowledging}${snoozedText(until)}<p>A snooze holds back all alerts of this check.</p>${snoozing}`
}

function snoozedText(until: string | null): string {
  return until === null ? '' : `<p>Snoozed: no alerts of this check until ${instantText(Date.parse(until))}.</p>`
}

const visitor = (request: FastifyRequest) => ({ actor: 'link', requestId: request.id, address: request.clientAddress })
