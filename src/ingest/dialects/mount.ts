// Serves the dialects: makes a signal of each request, gives it to the service, and sends the answer.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Checks } from '../../checks/service.ts'
import type { AnswerFailure } from '../../http/admission/addresses.ts'
import { neverShed } from '../../http/admission/pressure.ts'
import { ignoreBodies, keepBodies } from '../../http/body/raw-body.ts'
import { prepare } from '../../http/errors.ts'
import type { Query } from '../../http/schemas/query.ts'
import type { Heartbeats } from '../service.ts'
import type { Outcome, ProjectRef, Signal, Target } from '../signal.ts'
import type { Address, Dialect, IngestRequest, Refusal, Said } from './dialect.ts'
import { senderOf } from './sender.ts'

export type MountOptions = {
  heartbeats: Heartbeats
  /** Whose ping key this is; null if nobody's. While that cannot be looked up, its hash. */
  ownerOf: (pingKey: string) => Promise<ProjectRef | null>
  checks: Pick<Checks, 'exists' | 'locate'>
  bodyLimitBytes: number
  /** The limit of all bodies that have not arrived as a whole. */
  receivingMaxBytes: number
}

type Ping = { Params: IngestRequest['params']; Querystring: Query; Body: Buffer | null }

const notStored: Refusal = { status: 503, text: 'the heartbeat could not be stored, try again shortly', retryAfterS: 1 }
const queueFull: Refusal = { status: 503, text: 'too many heartbeats, try again shortly', retryAfterS: 1 }

/** Registers the routes of a dialect in the (encapsulated) instance. An answer of success is sent only once the heartbeat is on disk. */
export function mount(app: FastifyInstance, dialect: Dialect, options: MountOptions): void {
  const { heartbeats, ownerOf, checks, bodyLimitBytes } = options
  const { parse, methods, preflights } = dialect
  const send = (reply: FastifyReply, result: Outcome | Refusal): FastifyReply => {
    const { status, headers, body } = dialect.answer(result, options)
    return reply.code(status).headers(headers).send(body)
  }
  /** In the words of the dialect: the address is a credential, and is not repeated. */
  const answer: AnswerFailure = (failure, request, reply) => {
    prepare(failure, request, reply)
    send(reply, { status: reply.statusCode, text: failure.message })
  }

  /** Returns nothing where the answer comes later by a callback: Fastify would listen for the end of a reply that is returned. */
  function handle(request: FastifyRequest<Ping>, reply: FastifyReply): undefined | Promise<FastifyReply> {
    const parsed = parse(request)
    const { to } = parsed
    if (!('said' in parsed)) return refuse(to, parsed.refusal, request, reply)
    if (to?.by === 'slug') return receiveBySlug(request, parsed.said, to, reply)
    if (to !== null) receive(signalOf(request, parsed.said, to), reply)
  }

  async function receiveBySlug(
    request: FastifyRequest<Ping>,
    said: Said,
    { pingKey, slug, create }: Extract<Address, { by: 'slug' }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const project = await ownerOf(pingKey)
    if (project === null) return send(reply, 'unknown')
    receive(signalOf(request, said, { by: 'slug', project, slug, create }), reply)
    return reply
  }

  function receive(signal: Signal, reply: FastifyReply): void {
    const isTaken = heartbeats.receive(signal, (error, outcome) => {
      send(reply, error || outcome === undefined ? notStored : outcome)
    })
    if (!isTaken) send(reply, queueFull)
  }

  async function refuse(
    to: Address | null,
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

  if (dialect.body === 'kept') keepBodies(app, bodyLimitBytes, options.receivingMaxBytes)
  else ignoreBodies(app)
  if (dialect.claims) app.knownAddresses.claim(dialect.claims, answer)
  // The spool takes heartbeats before there is a database.
  const early = heartbeats.failover !== null
  for (const { path: url, label, schema } of dialect.routes) {
    const config = {
      requires: 'ingest',
      quiet: true,
      early,
      statsId: label,
      undocumented: schema === null,
      answer,
      ...neverShed,
    } as const
    const method = [...methods]
    app.route<Ping>({ method, url, exposeHeadRoute: false, config, ...(schema && { schema }), handler: handle })
    if (preflights)
      app.options(url, { config }, (_request, reply) => reply.headers(preflightOf(method)).code(204).send())
  }
}

function preflightOf(methods: readonly string[]) {
  return {
    'access-control-allow-origin': '*',
    'access-control-allow-headers': '*',
    'access-control-allow-methods': [...methods, 'OPTIONS'].join(', '),
    'access-control-max-age': '600',
  }
}

function signalOf(request: FastifyRequest<Ping>, { kind, exitStatus, rid, body }: Said, target: Target): Signal {
  return {
    target,
    kind,
    exitStatus,
    rid,
    sentAt: null,
    dedupeKey: null,
    body: body === undefined ? (request.body ?? null) : body,
    mail: null,
    sender: senderOf(request),
    requestId: request.id,
  }
}
