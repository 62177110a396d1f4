import type { Authenticator } from '../http/admission/authenticator.ts'
import { createLinkAuthenticator } from '../messages/link-authenticator.ts'
import type { CheckLinks } from './check-page/check-links.ts'

/** The links in an alert: to acknowledge its outage, and to the page of its check. */
export function createAlertLinkAuthenticators({ links }: { links: Pick<CheckLinks, 'open'> }): Authenticator[] {
  return [
    createLinkAuthenticator<{ token: string }>({
      ...{ name: 'acknowledgement-link', label: 'link', permission: 'links:acknowledge' },
      verify: ({ token }) => links.open('acknowledgement', token),
    }),
    createLinkAuthenticator<{ token: string }>({
      ...{ name: 'check-link', label: 'link', permission: 'links:show-check' },
      verify: ({ token }) => links.open('page', token),
    }),
  ]
}
