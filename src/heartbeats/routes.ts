import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { isUuid } from '../core/identifier.ts'
import { unshed } from '../http/pressure.ts'
import { keepBodies } from '../http/raw-body.ts'
import { parseAction, parseRid, senderOf } from './protocols/healthchecks.ts'
import type { Heartbeats } from './service.ts'

export type PingRoutesOptions = {
  heartbeats: Heartbeats
  /** Whether a monitor exists: decides between 400 and 404 for a ping that is malformed beyond its uuid. */
  exists: (id: string) => Promise<boolean>
  bodyLimitBytes: number
}

type Ping = { Params: { id: string; action?: string }; Querystring: { rid?: string | string[] }; Body: Buffer | null }

const methods = ['GET', 'HEAD', 'POST', 'PUT']
const refusedMethods = ['DELETE', 'PATCH']

/** Pings by uuid: 200 `OK` only once the heartbeat is on disk. */
export const pingRoutes: FastifyPluginAsync<PingRoutesOptions> = async (app, options) => {
  const { heartbeats, exists } = options
  const accepted = {
    'access-control-allow-origin': '*',
    'cache-control': 'max-age=0, no-cache, no-store, must-revalidate, private',
    'content-type': 'text/plain; charset=utf-8',
    'ping-body-limit': String(options.bodyLimitBytes),
  }
  keepBodies(app, options.bodyLimitBytes)

  function ping(request: FastifyRequest<Ping>, reply: FastifyReply): FastifyReply | Promise<FastifyReply> {
    const { id } = request.params
    const action = parseAction(request.params.action)
    if (!isUuid(id) || action === null) return refuse(reply, 404, 'not found')
    const rid = parseRid(request.query.rid)
    if (action === 'invalid' || rid === undefined) {
      const problem = action === 'invalid' ? 'invalid url format' : 'invalid uuid format'
      return exists(id).then((known) => (known ? refuse(reply, 400, problem) : refuse(reply, 404, 'not found')))
    }
    const sender = senderOf(request.headers, request.socket.remoteAddress)
    const ua = (request.headers['user-agent'] ?? '').slice(0, 200)
    const incoming = {
      ...action,
      ...sender,
      monitorId: id,
      rid,
      ua,
      method: request.method,
      body: request.body ?? null,
      requestId: request.id,
    }
    const taken = heartbeats.receive(incoming, (error, outcome) => {
      if (error) unavailable(reply, 'the heartbeat could not be stored, try again shortly')
      else if (outcome === 'unknown') refuse(reply, 404, 'not found')
      else reply.headers(accepted).send('OK')
    })
    if (!taken) unavailable(reply, 'too many heartbeats, try again shortly')
    return reply
  }

  function unavailable(reply: FastifyReply, problem: string): void {
    reply.header('retry-after', '1')
    refuse(reply, 503, problem)
  }

  for (const url of ['/ping/:id', '/ping/:id/', '/ping/:id/:action']) {
    const config = { access: 'ping', quiet: true, ...unshed } as const
    app.route<Ping>({ method: methods, url, exposeHeadRoute: false, config, handler: ping })
    app.options(url, { config }, (_request, reply) => reply.headers(accepted).code(204).send())
    app.route({
      method: refusedMethods,
      url,
      config,
      handler: (_request, reply) =>
        refuse(reply.header('allow', [...methods, 'OPTIONS'].join(', ')), 405, 'method not allowed'),
    })
  }
}

function refuse(reply: FastifyReply, status: number, problem: string): FastifyReply {
  return reply.code(status).type('text/plain; charset=utf-8').send(problem)
}
