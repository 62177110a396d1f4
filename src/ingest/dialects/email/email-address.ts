// Heartbeats by e-mail (https://healthchecks.io/docs/email/): the recipients of a message. The mailbox is a uuid, or a
// ping key and a slug joined by `+`. Mail servers change the case of mailboxes, and write domains in several ways.

import { domainToASCII } from 'node:url'
import { isUuid } from '../../../kit/identifier.ts'
import type { PingRecipient } from '../healthchecks/ping-address.ts'

/** `rejected`: not a domain of this server. `invalid`: not a mailbox that a check could have. */
export type RecipientProblem = 'rejected' | 'invalid'

/**
 * Reads an address. Without a `domain` every domain is served. An address without a domain is meant for this server.
 * The ping key keeps its letter case.
 */
export function parseRecipient(address: string, domain: string | undefined): PingRecipient | RecipientProblem {
  const at = address.lastIndexOf('@')
  const mailbox = unquoted(at === -1 ? address : address.slice(0, at))
  if (at !== -1 && domain !== undefined && canonical(address.slice(at + 1)) !== canonical(domain)) return 'rejected'
  if (isUuid(mailbox.toLowerCase())) return { checkId: mailbox.toLowerCase() }
  const [, pingKey, slug] = /^([A-Za-z0-9_-]{22})\+([a-z0-9_-]{1,100})$/.exec(mailbox) ?? []
  return pingKey === undefined || slug === undefined ? 'invalid' : { pingKey, slug }
}

/** `"a\b"@…` is another spelling of `ab@…`. */
function unquoted(mailbox: string): string {
  const [, quoted] = /^"(.*)"$/.exec(mailbox) ?? []
  return quoted === undefined ? mailbox : quoted.replace(/\\(.)/g, '$1')
}

/** `Example.ORG.` is `example.org`; what is not a domain name, such as `[127.0.0.1]`, stays as it is. */
function canonical(domain: string): string {
  const name = domain.toLowerCase().replace(/\.$/, '')
  return domainToASCII(name) || name
}

/** The user agent in the history. The address is what the sender claims; it is empty for a bounce. */
export function userAgentOf(sender: string): string {
  return `Email from ${sender}`.replace(/\p{Cc}/gu, '')
}
