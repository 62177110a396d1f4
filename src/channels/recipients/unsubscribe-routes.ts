// Where a mail's recipient unsubscribes. Opening the page changes nothing, because mail scanners open every link; the
// button on it, or that of a mail program (RFC 8058), unsubscribes.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { withExample } from '../../http/schemas/api-schema.ts'
import { exampleChannel } from '../../http/schemas/examples.ts'
import { Uuid } from '../../http/schemas/types.ts'
import { bothForms } from '../../http/slashes.ts'
import { linkConfig, pageCall, sendPage, visitorOf } from '../../messages/link-routes.ts'
import { button, heading } from '../../messages/page.ts'
import type { Channels } from '../channels.ts'

const params = Type.Object({
  id: withExample(Uuid, exampleChannel, 'uuid of the channel'),
  signature: withExample(Type.String({ maxLength: 100 }), 'Rk1fVG9rZW5TaWduYXR1cmU', 'The signature of the link'),
})
const show = pageCall('showUnsubscribing', {
  summary: 'The page of the link in a mail with which its recipient ends it; changes nothing',
  page: 'A page with a button',
  params,
  statuses: [400, 404],
})
const unsubscribe = pageCall('unsubscribe', {
  summary: 'Switch the channel of the link off',
  page: 'Done',
  params,
  statuses: [400, 404],
})

const question =
  '<p>This channel sends the alerts of the project to your address. If you unsubscribe it is switched off, and you get no more alerts from it.</p>'
const unsubscribed = '<p>Unsubscribed: this channel is switched off. You will get no more alerts from it.</p>'

export const unsubscribeRoutes: FastifyPluginAsyncTypebox<{
  channels: Pick<Channels, 'mailing' | 'unsubscribe'>
}> = async (app, { channels }) => {
  for (const { url, form } of bothForms('/api/v3/channels/:id/unsubscribe/:signature')) {
    const config = { ...linkConfig, requires: 'links:unsubscribe', ...form } as const

    app.get(url, { config, schema: show }, async (request, reply) => {
      const { channel, project } = await channels.mailing(request.params)
      return sendPage(reply, heading(channel, project) + question + button('Unsubscribe'))
    })

    app.post(url, { config, schema: unsubscribe }, async (request, reply) => {
      const { channel, project } = await channels.mailing(request.params)
      await channels.unsubscribe(request.params, visitorOf(request))
      return sendPage(reply, heading(channel, project) + unsubscribed)
    })
  }
}
