import type { Authenticator } from '../../http/admission/authenticator.ts'
import { createLinkAuthenticator } from '../../messages/link-authenticator.ts'
import type { Channels } from '../channels.ts'
import type { Recipients } from './recipients.ts'

/** The links in mails: to confirm that one wants them, and to unsubscribe. */
export function createMailLinkAuthenticators(services: {
  recipients: Pick<Recipients, 'verifyLink'>
  channels: Pick<Channels, 'verifyUnsubscribeLink'>
}): Authenticator[] {
  const { recipients, channels } = services
  return [
    createLinkAuthenticator<{ token: string }>({
      ...{ name: 'confirmation-link', label: 'recipient', permission: 'links:confirm' },
      verify: ({ token }) => recipients.verifyLink(token),
    }),
    createLinkAuthenticator<{ id: string; signature: string }>({
      ...{ name: 'unsubscribe-link', label: 'recipient', permission: 'links:unsubscribe' },
      verify: channels.verifyUnsubscribeLink,
    }),
  ]
}
