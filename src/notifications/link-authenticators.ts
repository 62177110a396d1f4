import type { Authenticator } from '../http/admission/authenticator.ts'
import { createLinkAuthenticator } from '../messages/link-authenticator.ts'
import type { CheckPage } from './check-page/check-page.ts'
import type { Acknowledgements } from './suppression/acknowledgements.ts'

/** The links in an alert: to acknowledge its outage, and to the page of its check. */
export function createAlertLinkAuthenticators(services: {
  acknowledgements: Pick<Acknowledgements, 'verifyLink'>
  checkPage: Pick<CheckPage, 'verifyLink'>
}): Authenticator[] {
  const { acknowledgements, checkPage } = services
  return [
    createLinkAuthenticator<{ token: string }>({
      ...{ name: 'acknowledgement-link', label: 'link', permission: 'links:acknowledge' },
      verify: ({ token }) => acknowledgements.verifyLink(token),
    }),
    createLinkAuthenticator<{ token: string }>({
      ...{ name: 'check-link', label: 'link', permission: 'links:show-check' },
      verify: ({ token }) => checkPage.verifyLink(token),
    }),
  ]
}
