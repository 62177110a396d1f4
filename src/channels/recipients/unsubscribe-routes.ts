// Where a mail's recipient unsubscribes. Opening the page changes nothing, because mail scanners open every link; the
// button on it, or that of a mail program (RFC 8058), unsubscribes.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Uuid } from '../../http/schema.ts'
import { bothForms } from '../../http/slashes.ts'
import { linkAccess, sendPage } from '../../messages/link-routes.ts'
import { button, heading } from '../../messages/page.ts'
import type { Channels } from '../channels.ts'
import type { UnsubscribeLinks } from './unsubscribe-links.ts'

const Address = Type.Object({ id: Uuid, signature: Type.String({ maxLength: 100 }) })

const question =
  '<p>This channel sends the alerts of the project to your address. If you unsubscribe it is switched off, and you get no more alerts from it.</p>'
const unsubscribed = '<p>Unsubscribed: this channel is switched off. You will get no more alerts from it.</p>'

export const unsubscribeRoutes: FastifyPluginAsyncTypebox<{
  channels: Pick<Channels, 'mailing' | 'unsubscribe'>
  links: Pick<UnsubscribeLinks, 'isValid'>
}> = async (app, { channels, links }) => {
  const isSigned =
    ({ id, signature }: { id: string; signature: string }) =>
    (recipient: string) =>
      links.isValid(id, recipient, signature)

  for (const { url, form } of bothForms('/api/v3/channels/:id/unsubscribe/:signature')) {
    const open = { config: { ...linkAccess, ...form }, schema: { params: Address } } as const

    app.get(url, open, async (request, reply) => {
      const { channel, project } = await channels.mailing(request.params.id, isSigned(request.params))
      return sendPage(reply, heading(channel, project) + question + button('Unsubscribe'))
    })

    app.post(url, open, async (request, reply) => {
      const by = { requestId: request.id, address: request.clientAddress }
      const { channel, project } = await channels.mailing(request.params.id, isSigned(request.params))
      await channels.unsubscribe(request.params.id, isSigned(request.params), by)
      return sendPage(reply, heading(channel, project) + unsubscribed)
    })
  }
}
