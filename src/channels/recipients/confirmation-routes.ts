// Where a recipient confirms that they want mails. Opening the page changes nothing, because mail scanners open every
// link; the button on it confirms.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { bothForms } from '../../http/slashes.ts'
import { linkConfig, linkToken, pageCall, sendPage, visitorOf } from '../../messages/link-routes.ts'
import { button, heading } from '../../messages/page.ts'
import type { Recipients } from './recipients.ts'

const params = Type.Object({ token: linkToken(300) })
const show = pageCall('showConfirmation', {
  summary: 'The page of the link in the mail that asks a recipient; changes nothing',
  page: 'A page with a button',
  params,
  statuses: [404, 410],
})
const confirm = pageCall('confirmRecipient', {
  summary: 'Confirm that the recipient of the link wants mails',
  page: 'Done',
  params,
  statuses: [404, 410],
})

const question =
  '<p>Flatline will send alerts of this project to your address once you confirm. Each mail has a link to unsubscribe.</p>' +
  '<p>If you do not want alerts, close this page: you get no other mail.</p>'
const confirmed = '<p>You will get alerts of this project at your address. Each mail has a link to unsubscribe.</p>'

export const confirmationRoutes: FastifyPluginAsyncTypebox<{
  recipients: Pick<Recipients, 'projectOf' | 'confirm'>
}> = async (app, { recipients }) => {
  for (const { url, form } of bothForms('/confirm/:token')) {
    const config = { ...linkConfig, requires: 'links:confirm', ...form } as const

    app.get(url, { config, schema: show }, async (request, reply) => {
      const project = await recipients.projectOf(request.params.token)
      return sendPage(reply, heading('Alerts by e-mail', project) + question + button('Confirm'))
    })

    app.post(url, { config, schema: confirm }, async (request, reply) => {
      const project = await recipients.projectOf(request.params.token)
      await recipients.confirm(request.params.token, visitorOf(request))
      return sendPage(reply, heading('Confirmed', project) + confirmed)
    })
  }
}
