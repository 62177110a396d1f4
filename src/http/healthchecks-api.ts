// The manners of Healthchecks' management API, for the plugins that serve its calls: any content type is JSON, errors are `{error}` (or nothing at all where the original sends nothing), and every answer carries CORS headers.

import type { FastifyError, FastifyInstance } from 'fastify'
import { prepare, toAppError } from './errors.ts'

/** Sets up the (encapsulated) instance that is passed. */
export function speakHealthchecks(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('access-control-allow-origin', '*')
    // The content type is ignored; one that is no media type at all would be refused first.
    if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/json'
    done()
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const failure = toAppError(error)
    prepare(failure, request, reply)
    if (failure.code === 'conflict') return reply.type('text/plain; charset=utf-8').send(failure.message)
    const silent = failure.code === 'forbidden' || failure.code === 'not_found'
    reply.send(silent ? '' : { error: failure.message })
  })
}

/** Answers a preflight request, and 405 to every method of `methods` that the route does not offer. */
export function offer(app: FastifyInstance, url: string, offered: readonly string[]): void {
  app.options(url, { config: { access: 'public' } }, (_request, reply) => {
    reply
      .headers({
        'access-control-allow-headers': 'X-Api-Key',
        'access-control-allow-methods': [...offered, 'OPTIONS'].join(', '),
        'access-control-max-age': '600',
      })
      .code(204)
      .send()
  })
  const refused = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => !offered.includes(method))
  app.route({
    method: refused,
    url,
    exposeHeadRoute: false,
    config: { access: 'public' },
    handler: (_request, reply) => {
      reply
        .code(405)
        .header('allow', [...offered, 'OPTIONS'].join(', '))
        .send('')
    },
  })
}
