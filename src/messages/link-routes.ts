// What the routes of links in messages share: people open them in a browser, so browsers get a page for failures, too.
// Programs, which do not ask for HTML, get the usual JSON.

import type { FastifyReply } from 'fastify'
import type { ErrorCode } from '../core/errors.ts'
import type { Answer } from '../http/addresses.ts'
import { bodyOf, prepare } from '../http/errors.ts'
import { page, pagePolicy } from './page.ts'

const invalid = [
  'This link does not work',
  'It is incomplete, or what it was about no longer exists. Use the whole link of the message.',
] as const

const failures: Partial<Record<ErrorCode, readonly [title: string, text: string]>> = {
  bad_request: invalid,
  not_found: invalid,
  gone: ['This link has expired', 'Links in messages are valid for a week. Use the link of a newer message.'],
  conflict: ['This outage is over', 'The link is about an outage that has ended. Nothing was changed.'],
}

const otherFailure = ['Flatline cannot do this now', 'Nothing was changed. Try again in a few minutes.'] as const

const answer: Answer = (failure, request, reply) => {
  prepare(failure, request, reply)
  if (!/\btext\/html\b/i.test(request.headers.accept ?? '')) return void reply.send(bodyOf(failure))
  const [title, text] = failures[failure.code] ?? otherFailure
  sendPage(reply, `<h1>${title}</h1><p>${text}</p>`)
}

/** The configuration of every such route: the link itself is the credential. */
export const linkAccess = { access: 'public', answer } as const

/** Sends a page; `body` is HTML. */
export function sendPage(reply: FastifyReply, body: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').header('content-security-policy', pagePolicy).send(page(body))
}
