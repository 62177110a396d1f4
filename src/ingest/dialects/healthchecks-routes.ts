import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Checks } from '../../checks/service.ts'
import type { Answer } from '../../http/addresses.ts'
import { prepare } from '../../http/errors.ts'
import { neverShed } from '../../http/pressure.ts'
import { last } from '../../http/query.ts'
import { keepBodies } from '../../http/raw-body.ts'
import type { Heartbeats } from '../service.ts'
import type { Outcome, ProjectRef, Signal, Target } from '../signal.ts'
import { stateProblem, withState } from './cronitor-state.ts'
import { type Action, isSlug, parseAddress, parseRid, type Recipient, senderOf } from './healthchecks-address.ts'
import { pingCall } from './healthchecks-api-schema.ts'

export type PingRoutesOptions = {
  heartbeats: Heartbeats
  /** Whose ping key this is; null if nobody's. While nobody can tell, its hash and no project. */
  ownerOf: (pingKey: string) => Promise<ProjectRef | null>
  checks: Pick<Checks, 'exists' | 'locate'>
  bodyLimitBytes: number
  /** The limit of all bodies that have not arrived as a whole. */
  receivingMaxBytes: number
}

type Query = { rid?: string | string[]; create?: string | string[]; state?: string | string[] }
type Address = NonNullable<ReturnType<typeof parseAddress>>
/** What a valid ping says. */
type Said = { action: Action; rid: string | null }
type Ping = {
  Params: { first: string; second?: string; third?: string }
  Querystring: Query
  Body: Buffer | null
}

const methods = ['GET', 'HEAD', 'POST', 'PUT']
const plainText = 'text/plain; charset=utf-8'
const noStore = 'max-age=0, no-cache, no-store, must-revalidate, private'
/** Paths that can only be ping addresses, whether or not a check has them. */
const pingPath = /^\/(?:ping(?:\/|$)|(?:[\w-]{22}|[\w-]{36})(?:[/?]|$))/
const pingKeyLength = 22

// On the bare root everything else lives too, so that only what has the length of a ping key or of a uuid is taken for one.
const shapes = [
  { prefix: '/ping/:first', label: '/ping/:id' },
  { prefix: '/:first(^(?:[\\w-]{22}|[\\w-]{36})$)', label: '/:id' },
]
const suffixes = [
  { suffix: '', named: '' },
  { suffix: '/', named: '/' },
  { suffix: '/:second', named: '/:action' },
  { suffix: '/:second/:third', named: '/:slug/:action' },
] as const

/** Pings by uuid, or by ping key and slug; under /ping/ and on the bare root. 200 `OK` only once the heartbeat is on disk. */
export const pingRoutes: FastifyPluginAsync<PingRoutesOptions> = async (app, options) => {
  const { heartbeats, ownerOf, checks } = options
  const cors = { 'access-control-allow-origin': '*' }
  const accepted = {
    ...cors,
    'cache-control': noStore,
    'content-type': plainText,
    'ping-body-limit': String(options.bodyLimitBytes),
  }
  const preflight = {
    ...cors,
    'access-control-allow-headers': '*',
    'access-control-allow-methods': [...methods, 'OPTIONS'].join(', '),
    'access-control-max-age': '600',
  }
  const expires = createExpires()
  // The spool takes them before there is a database.
  const early = heartbeats.failover !== null
  keepBodies(app, options.bodyLimitBytes, options.receivingMaxBytes)
  app.knownAddresses.claim(pingPath, answerInText)

  /** Returns nothing where the answer comes later by a callback: Fastify would listen for the end of a reply that is returned. */
  function ping(request: FastifyRequest<Ping>, reply: FastifyReply): undefined | Promise<FastifyReply> {
    const { first, second, third } = request.params
    const address = parseAddress(first, second, third)
    if (address === null) {
      refuse(reply, 404, 'not found')
      return
    }
    const { to } = address
    const said = readSignal(address, request.query)
    if ('slug' in to) return pingBySlug(request, reply, to, said)
    if (typeof said === 'string')
      return checks.exists(to.checkId).then((known) => (known ? refuse(reply, 400, said) : unknown(reply)))
    receive(signalOf(request, said, { by: 'id', checkId: to.checkId, within: null }), reply)
  }

  async function pingBySlug(
    request: FastifyRequest<Ping>,
    reply: FastifyReply,
    { pingKey, slug }: Extract<Recipient, { slug: string }>,
    said: Said | string,
  ): Promise<FastifyReply> {
    if (!isSlug(slug)) return refuse(reply, 400, 'invalid url format')
    const project = pingKey.length === pingKeyLength ? await ownerOf(pingKey) : null
    if (project === null) return unknown(reply)
    const create = last(request.query.create) === '1'
    if (typeof said !== 'string') return receive(signalOf(request, said, { by: 'slug', project, slug, create }), reply)
    const address = { projectId: 'id' in project ? project.id : '', slug, create: false }
    const [located] = await checks.locate([{ ...address, requestId: request.id, address: request.clientAddress }])
    if (located === 'ambiguous') return refuse(reply, 409, 'ambiguous slug')
    return located === 'unknown' && !create ? unknown(reply) : refuse(reply, 400, said)
  }

  function receive(signal: Signal, reply: FastifyReply): FastifyReply {
    const taken = heartbeats.receive(signal, (error, outcome) => {
      if (error || outcome === undefined) unavailable(reply, 'the heartbeat could not be stored, try again shortly')
      else answer(reply, outcome)
    })
    if (!taken) unavailable(reply, 'too many heartbeats, try again shortly')
    return reply
  }

  function answer(reply: FastifyReply, outcome: Outcome): void {
    if (outcome === 'unknown') unknown(reply)
    else if (outcome === 'ambiguous') refuse(reply, 409, 'ambiguous slug')
    else if (typeof outcome === 'object' && 'quota' in outcome) {
      if (outcome.retryAfterS !== undefined) reply.header('retry-after', outcome.retryAfterS)
      refuse(reply, outcome.retryAfterS === undefined ? 403 : 429, outcome.message)
    } else if (typeof outcome === 'object' && 'limitedForMs' in outcome) {
      reply.header('retry-after', Math.ceil(outcome.limitedForMs / 1000))
      refuse(reply, 429, 'rate limit exceeded')
    } else {
      reply.headers(accepted).header('expires', expires())
      if (outcome !== 'duplicate' && outcome.created) reply.code(201).send('Created')
      else reply.send('OK')
    }
  }

  for (const { prefix, label } of shapes) {
    for (const { suffix, named } of suffixes) {
      const url = prefix + suffix
      const config = {
        access: 'ping',
        quiet: true,
        early,
        statsId: label + named,
        answer: answerInText,
        ...neverShed,
      } as const
      const schema = pingCall(prefix, suffix)
      app.route<Ping>({ method: methods, url, exposeHeadRoute: false, config, schema, handler: ping })
      app.options(url, { config }, (_request, reply) => reply.headers(preflight).code(204).send())
    }
  }
}

function signalOf(request: FastifyRequest<Ping>, { action, rid }: Said, target: Target): Signal {
  const { headers, socket, method, clientAddress: address } = request
  const ua = headers['user-agent'] ?? ''
  return {
    target,
    ...action,
    rid,
    sentAt: null,
    dedupeKey: null,
    body: request.body ?? null,
    mail: null,
    sender: { ...senderOf(headers, socket.remoteAddress), address, method, ua },
    requestId: request.id,
  }
}

/** What the ping says, or the text of its refusal. */
function readSignal({ action, isPlain }: Address, query: Query): Said | string {
  if (action === 'invalid') return 'invalid url format'
  const rid = parseRid(last(query.rid))
  if (rid === undefined) return 'invalid uuid format'
  const state = last(query.state)
  if (state === undefined) return { action, rid }
  const stated = withState(action, state, isPlain)
  return stated === null ? stateProblem : { action: stated, rid }
}

function unknown(reply: FastifyReply): FastifyReply {
  return refuse(reply, 404, 'not found')
}

function unavailable(reply: FastifyReply, problem: string): void {
  reply.header('retry-after', '1')
  refuse(reply, 503, problem)
}

/** A proxy that cached a refusal would repeat it for a check that is created right after. */
function refuse(reply: FastifyReply, status: number, problem: string): FastifyReply {
  return reply.code(status).header('cache-control', noStore).type(plainText).send(problem)
}

/** In fixed words: the address is a credential. */
const answerInText: Answer = (failure, request, reply) => {
  prepare(failure, request, reply)
  refuse(reply, reply.statusCode, failure.message)
}

/** The time as headers show it; it is formatted again only when the second has changed. */
function createExpires(): () => string {
  let second = 0
  let text = ''
  return () => {
    const now = Math.floor(Date.now() / 1000)
    if (now !== second) {
      second = now
      text = new Date(now * 1000).toUTCString()
    }
    return text
  }
}
