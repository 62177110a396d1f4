// Where a recipient confirms that they want mails. Opening the page changes nothing, because mail scanners open every
// link; the button on it confirms.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { bothForms } from '../http/slashes.ts'
import { page } from './page.ts'
import type { Recipients } from './recipients.ts'

const Token = Type.Object({ token: Type.String({ maxLength: 300 }) })

export const confirmationRoutes: FastifyPluginAsyncTypebox<{
  recipients: Pick<Recipients, 'check' | 'confirm'>
}> = async (app, { recipients }) => {
  for (const { url, form } of bothForms('/confirm/:token')) {
    const route = { config: { access: 'public', ...form }, schema: { params: Token } } as const

    app.get(url, route, async (request, reply) => {
      recipients.check(request.params.token)
      reply.type('text/html; charset=utf-8')
      return page('<form method="post"><p>Do you want alerts at this address?</p><button>Confirm</button></form>')
    })

    app.post(url, route, async (request, reply) => {
      await recipients.confirm(request.params.token, { requestId: request.id, address: request.clientAddress })
      reply.type('text/html; charset=utf-8')
      return page('<p>Confirmed. You will get alerts at this address; each has a link that ends them.</p>')
    })
  }
}
