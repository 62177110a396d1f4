// What the routes of links in messages share: people open them in a browser, so browsers get a page for failures, too.
// Programs, which do not ask for HTML, get the usual JSON.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { type TSchema, Type } from 'typebox'
import type { ErrorCode } from '../core/errors.ts'
import type { AnswerFailure } from '../http/admission/addresses.ts'
import { bodyOf, prepare } from '../http/errors.ts'
import { refusals, text, withExample } from '../http/schemas/api-schema.ts'
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

const answer: AnswerFailure = (failure, request, reply) => {
  prepare(failure, request, reply)
  if (!/\btext\/html\b/i.test(request.headers.accept ?? '')) return void reply.send(bodyOf(failure))
  const [title, explanation] = failures[failure.code] ?? otherFailure
  sendPage(reply, `<h1>${title}</h1><p>${explanation}</p>`)
}

const html = (description: string) => text(description, '<!doctype html><html lang="en">…</html>', 'text/html')

/** A call that answers with a page. It refuses with a page, or with JSON for programs. */
export function pageCall<Params extends TSchema>(
  operationId: string,
  { summary, page, params, statuses }: { summary: string; page: string; params: Params; statuses: number[] },
) {
  const forPrograms = Object.entries(refusals(...statuses))
  return {
    operationId,
    tags: ['channels'],
    summary,
    params,
    response: { 200: html(page) },
    refusals: Object.fromEntries(
      forPrograms.map(([status, { description, content }]) => [
        status,
        { description, content: { ...content, ...html('').content } },
      ]),
    ),
  }
}

/** The token in the address of a link. */
export const linkToken = (maxLength: number) =>
  withExample(
    Type.String({ maxLength }),
    'ASBKc_D683YsKfSqJefassND7CjOY_gknpYBKpipq_thebzY0SjEKLm85hXztq6_9hxXCZUOsLAWnY2Ju0i18A',
    'As an alert carries it',
  )

/** The configuration of every such route: browsers get a page for failures. */
export const linkConfig = { answer }

/** The person who opened a link, for the audit log. The link determines the project. */
export type Visitor = { actor: string; requestId: string; address?: string }

export const visitorOf = ({ caller: { actor, requestId, address } }: FastifyRequest): Visitor => ({
  actor,
  requestId,
  address,
})

/** Sends a page; `body` is HTML. */
export function sendPage(reply: FastifyReply, body: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').header('content-security-policy', pagePolicy).send(page(body))
}
