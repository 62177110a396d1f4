// A request is one heartbeat, and its address is the credential. Thousands come per second: nothing here waits, except
// for the owner of a ping key.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../../../config/load.ts'
import type { AnswerFailure } from '../../../http/admission/addresses.ts'
import { ignoreBodies, keepBodies } from '../../../http/body/raw-body.ts'
import { prepare } from '../../../http/errors.ts'
import type { Signature, Target } from '../../signal.ts'
import type { HeartbeatContent, PingAddress, PingDialect, PingRequest, Refusal, Result } from '../dialect.ts'
import { createOwnerOf } from './ping-key-owner.ts'
import { type RouteOfKind, receive, signalOf } from './receive.ts'
import { senderOf } from './sender.ts'

export function routeOfPings(app: FastifyInstance, dialect: PingDialect, config: Config): RouteOfKind {
  const { heartbeats, checks } = app
  const ownerOf = createOwnerOf(app, config)
  const { parse } = dialect
  const limits = { bodyLimitBytes: config.ingest.pingBodyLimitBytes }
  const send = (reply: FastifyReply, result: Result): FastifyReply => {
    const { status, headers, body } = dialect.answer(result, limits)
    return reply.code(status).headers(headers).send(body)
  }
  /** In the words of the dialect: the address is a credential, and is not repeated. */
  const answer: AnswerFailure = (failure, request, reply) => {
    prepare(failure, request, reply)
    send(reply, { status: reply.statusCode, text: failure.message })
  }

  /** Returns nothing if a callback answers later: for a returned reply Fastify would add a listener for its end. */
  function handler(request: FastifyRequest, reply: FastifyReply): undefined | Promise<FastifyReply> {
    const parsed = parse(request as PingRequest)
    const { to } = parsed
    if (!('content' in parsed)) return refuse(to, parsed.refusal, request, reply)
    if (to?.by === 'slug') return receiveBySlug(request, parsed.content, to, reply)
    if (to !== null) record(request, parsed.content, to, reply)
  }

  async function receiveBySlug(
    request: FastifyRequest,
    content: HeartbeatContent,
    { pingKey, slug, create }: Extract<PingAddress, { by: 'slug' }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const project = await ownerOf(pingKey)
    if (project === null) return send(reply, 'unknown')
    record(request, content, { by: 'slug', project, slug, create }, reply)
    return reply
  }

  function record(request: FastifyRequest, content: HeartbeatContent, target: Target, reply: FastifyReply): void {
    const body = content.body === undefined ? ((request.body as Buffer | null | undefined) ?? null) : content.body
    const signature = signatureOf(request, content.body === undefined)
    const signal = signalOf(request, content, target, body, senderOf(request), signature)
    receive(heartbeats, signal, (result) => send(reply, result))
  }

  async function refuse(
    to: PingAddress | null,
    refusal: Refusal,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    if (to === null) return send(reply, refusal)
    if (to.by === 'id') return send(reply, (await checks.exists(to.checkId)) ? refusal : 'unknown')
    if (to.by === 'token') return send(reply, refusal)
    const project = await ownerOf(to.pingKey)
    if (project === null) return send(reply, 'unknown')
    const address = { projectId: 'id' in project ? project.id : '', slug: to.slug, create: false }
    const [located] = await checks.locate([{ ...address, requestId: request.id, address: request.clientAddress }])
    if (located === 'ambiguous') return send(reply, located)
    return send(reply, located === 'unknown' && !to.create ? located : refusal)
  }

  // Incomplete bodies may use no more memory than the queue.
  if (dialect.body === 'kept') keepBodies(app, limits.bodyLimitBytes, config.ingest.queueMaxBytes)
  else ignoreBodies(app)
  app.knownAddresses.claim(dialect.claims, answer)
  return { handler, config: { requires: 'ingest', answer } }
}

/** A longer header is no signature, and is spooled with its heartbeat. */
const headerMax = 200

function signatureOf(request: FastifyRequest, hasBody: boolean): Signature | null {
  const header = request.headers['x-flatline-signature']
  if (typeof header !== 'string') return null
  return { header: header.slice(0, headerMax), request: `${request.method} ${request.originalUrl}`, hasBody }
}
