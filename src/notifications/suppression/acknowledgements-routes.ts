// Acknowledging and snoozing, by key and by the links in alerts. A link shows a page; only its buttons act.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { shareSchemas } from '../../http/schemas/api-schema.ts'
import { bothForms } from '../../http/slashes.ts'
import { linkConfig, sendPage, visitorOf } from '../../messages/link-routes.ts'
import { button, heading } from '../../messages/page.ts'
import { instantText } from '../../messages/text.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import {
  acknowledge,
  acknowledgeByLink,
  getAttention,
  showLink,
  snooze,
  snoozeByLink,
  suppressionSchemas,
} from './api-schema.ts'

const snoozeHours = [1, 4, 24]

export const acknowledgementRoutes: FastifyPluginAsyncTypebox<{ acknowledgements: Acknowledgements }> = async (
  app,
  { acknowledgements },
) => {
  shareSchemas(app, suppressionSchemas)

  for (const slash of ['', '/']) {
    const undocumented = slash === ''
    const read = { requires: 'acknowledgements:read', undocumented } as const
    const write = { requires: 'acknowledgements:write', undocumented } as const
    const path = `/api/v3/checks/:id`

    app.get(`${path}/attention${slash}`, { config: read, schema: getAttention }, async (request) => {
      return acknowledgements.get(request.caller.projectId, request.params.id)
    })

    app.post(`${path}/acknowledge${slash}`, { config: write, schema: acknowledge }, async (request) => {
      return acknowledgements.acknowledge(request.caller, request.params.id)
    })

    app.post(`${path}/snooze${slash}`, { config: write, schema: snooze }, async (request) => {
      return acknowledgements.snooze(request.caller, request.params.id, request.body.for)
    })
  }

  linkRoutes(app, acknowledgements)
}

function linkRoutes(app: Parameters<typeof acknowledgementRoutes>[0], acknowledgements: Acknowledgements): void {
  for (const { url, form } of bothForms('/acknowledge/:token')) {
    const config = { ...linkConfig, requires: 'links:acknowledge', ...form } as const

    app.get(url, { config, schema: showLink }, async (request, reply) => {
      const { token } = request.params
      return sendPage(
        reply,
        buttonsOf(await acknowledgements.readLink(token), `${app.sitePath()}/acknowledge/${token}`),
      )
    })

    app.post(url, { config, schema: acknowledgeByLink }, async (request, reply) => {
      const { token } = request.params
      await acknowledgements.acknowledgeByLink(visitorOf(request), token)
      const { name, project } = await acknowledgements.readLink(token)
      return sendPage(
        reply,
        `${heading(name, project)}<p>Acknowledged. Reminders and escalation of this outage have ended.</p>`,
      )
    })
  }

  for (const { url, form } of bothForms('/acknowledge/:token/snooze/:hours')) {
    const config = { ...linkConfig, requires: 'links:acknowledge', ...form } as const

    app.post(url, { config, schema: snoozeByLink }, async (request, reply) => {
      const { token, hours } = request.params
      await acknowledgements.snoozeByLink(visitorOf(request), token, hours * 3600)
      const { name, project, snoozed_until: until } = await acknowledgements.readLink(token)
      return sendPage(reply, heading(name, project) + snoozedText(until))
    })
  }
}

function buttonsOf(content: Awaited<ReturnType<Acknowledgements['readLink']>>, address: string): string {
  const { name, project, goesOn, acknowledged, snoozed_until: until } = content
  const begin = heading(name, project)
  if (!goesOn) return `${begin}<p>This outage is over.</p>${snoozedText(until)}`
  const acknowledging = acknowledged
    ? '<p>Somebody has acknowledged this outage.</p>'
    : `<p>It is down. If you acknowledge the outage, its reminders and its escalation end.</p>${button('Acknowledge', address)}`
  const snoozing = snoozeHours.map((hours) => button(`Snooze for ${hours} h`, `${address}/snooze/${hours}`)).join('')
  return `${begin}${acknowledging}${snoozedText(until)}<p>A snooze suppresses all alerts of this check.</p>${snoozing}`
}

function snoozedText(until: string | null): string {
  return until === null ? '' : `<p>Snoozed: no alerts of this check until ${instantText(Date.parse(until))}.</p>`
}
