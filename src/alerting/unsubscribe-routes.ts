// Where a mail's recipient unsubscribes. Opening the page changes nothing, because mail scanners open every link; the
// button on it, or that of a mail program (RFC 8058), unsubscribes.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Uuid } from '../http/schema.ts'
import { bothForms } from '../http/slashes.ts'
import type { Channels } from './channels.ts'
import type { SignedLinks } from './signed-links.ts'

const Address = Type.Object({ id: Uuid, signature: Type.String({ maxLength: 100 }) })

export const unsubscribeRoutes: FastifyPluginAsyncTypebox<{
  channels: Pick<Channels, 'mayUnsubscribe' | 'unsubscribe'>
  links: Pick<SignedLinks, 'mayUnsubscribe'>
}> = async (app, { channels, links }) => {
  const isSigned =
    ({ id, signature }: { id: string; signature: string }) =>
    (recipient: string) =>
      links.mayUnsubscribe(id, recipient, signature)

  for (const { url, form } of bothForms('/api/v3/channels/:id/unsubscribe/:signature')) {
    const open = { config: { access: 'public', ...form }, schema: { params: Address } } as const

    app.get(url, open, async (request, reply) => {
      await channels.mayUnsubscribe(request.params.id, isSigned(request.params))
      reply.type('text/html; charset=utf-8')
      return page(
        '<form method="post"><p>Do you want no more alerts at this address?</p><button>Unsubscribe</button></form>',
      )
    })

    app.post(url, open, async (request, reply) => {
      const by = { requestId: request.id, address: request.clientAddress }
      await channels.unsubscribe(request.params.id, isSigned(request.params), by)
      reply.type('text/html; charset=utf-8')
      return page('<p>You will get no more alerts at this address.</p>')
    })
  }
}

const page = (content: string) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Flatline</title></head><body>${content}</body></html>\n`
