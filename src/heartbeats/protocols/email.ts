// Heartbeats by e-mail (https://healthchecks.io/docs/email/): whom a message is for. The mailbox is a uuid, or a ping key and a slug joined
// by `+`. Mail servers change the case of mailboxes, and write domains in several ways.

import { domainToASCII } from 'node:url'
import { isUuid } from '../../core/identifier.ts'
import type { Recipient } from './healthchecks.ts'

/** `rejected`: not a domain that is served here. `invalid`: no mailbox that a check could have. */
export type RecipientProblem = 'rejected' | 'invalid'

/**
 * Reads an address. Without a `domain` any is served: whoever has one host has one name for it. An address without a domain is meant for
 * whoever it is handed to. The ping key stays as it is written.
 */
export function parseRecipient(address: string, domain: string | undefined): Recipient | RecipientProblem {
  const at = address.lastIndexOf('@')
  const mailbox = unquoted(at === -1 ? address : address.slice(0, at))
  if (at !== -1 && domain !== undefined && canonical(address.slice(at + 1)) !== canonical(domain)) return 'rejected'
  if (isUuid(mailbox.toLowerCase())) return { monitorId: mailbox.toLowerCase() }
  const [, pingKey, slug] = /^([A-Za-z0-9_-]{22})\+([a-z0-9_-]{1,100})$/.exec(mailbox) ?? []
  return pingKey === undefined || slug === undefined ? 'invalid' : { pingKey, slug }
}

/** `"a\b"@…` is another way to write `ab@…`. */
function unquoted(mailbox: string): string {
  const [, quoted] = /^"(.*)"$/.exec(mailbox) ?? []
  return quoted === undefined ? mailbox : quoted.replace(/\\(.)/g, '$1')
}

/** `Example.ORG.` is `example.org`; what is no domain name, as `[127.0.0.1]`, is itself. */
function canonical(domain: string): string {
  const name = domain.toLowerCase().replace(/\.$/, '')
  return domainToASCII(name) || name
}

/** As the history shows it. The address is what the sender claims, empty for a bounce. */
export function userAgentOf(sender: string): string {
  return `Email from ${sender}`.replace(/\p{Cc}/gu, '')
}
