// The manners of Healthchecks' management API (its catalogue, sections 4.1 to 4.3), for the plugins that serve its calls: the body of a
// POST is JSON whatever its content type says, and read before anybody asks for a key; errors are `{error}`, or nothing at all where
// the original sends nothing; every answer carries CORS headers.

import type { FastifyError, FastifyInstance } from 'fastify'
import { AppError } from '../core/errors.ts'
import { prepare, toAppError } from './errors.ts'

/** Three versions differ in little, and are served side by side. */
export const apiVersions = [1, 2, 3] as const
export type ApiVersion = (typeof apiVersions)[number]

/**
 * Completes an address: a preflight, and 405 for every method that is not in `methods`, save for those that somebody else serves there.
 * One that ends in a slash is also known without it.
 */
export type Offer = (
  url: string,
  methods: readonly string[],
  options?: { redirect?: boolean; elsewhere?: readonly string[] },
) => void

const everyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Sets up the (encapsulated) instance that is passed; each of its addresses has to be offered. */
export function speakHealthchecks(app: FastifyInstance): Offer {
  const offered = new Map<string, string>()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    // The body of anything but a POST means nothing.
    if (request.method !== 'POST' || body === '') return done(null, undefined)
    try {
      done(null, parseJson(body as string))
    } catch {
      done(new AppError('bad_request', 'could not parse request body'))
    }
  })
  app.addHook('onRequest', (request, reply, done) => {
    const methods = offered.get(request.routeOptions.url ?? '') ?? 'OPTIONS'
    reply.headers({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'X-Api-Key',
      'access-control-allow-methods': methods,
      'access-control-max-age': '600',
    })
    // The content type is ignored; one that is no media type at all would be refused first.
    if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/json'
    done()
  })
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.method !== 'POST') return done()
    if (request.body === undefined) request.body = {}
    const isObject = typeof request.body === 'object' && request.body !== null && !Array.isArray(request.body)
    done(isObject ? undefined : new AppError('bad_request', 'json validation error: value is not an object'))
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const failure = toAppError(error)
    prepare(failure, request, reply)
    if (failure.code === 'conflict') return reply.type('text/plain; charset=utf-8').send(failure.message)
    const silent = failure.code === 'forbidden' || failure.code === 'not_found' || failure.message === ''
    reply.send(silent ? '' : { error: failure.message })
  })

  return (url, methods, { redirect = url.endsWith('/'), elsewhere = [] } = {}) => {
    const config = { access: 'public', aside: true } as const
    const allowed = [...methods, 'OPTIONS'].join(', ')
    offered.set(url, allowed)
    app.options(url, { config }, (_request, reply) => reply.code(204).send())
    app.route({
      method: everyMethod.filter((method) => !methods.includes(method) && !elsewhere.includes(method)),
      url,
      exposeHeadRoute: false,
      config,
      handler: (_request, reply) => reply.code(405).header('allow', allowed).send(''),
    })
    if (!redirect) return
    app.route({
      method: everyMethod,
      url: url.slice(0, -1),
      exposeHeadRoute: false,
      config,
      handler: (request, reply) => {
        const [path, query] = request.url.split('?', 2)
        reply.redirect(`${path}/${query === undefined ? '' : `?${query}`}`, 301)
      },
    })
  }
}

/**
 * Python tells 60 from 60.0, and knows no largest integer: a number that is not written as an integer becomes NaN, which no rule takes
 * for one, and an integer of any size stays a number.
 */
function parseJson(text: string): unknown {
  const keepIntegers = (_key: string, value: unknown, { source }: { source?: string } = {}) => {
    if (typeof value !== 'number' || source === undefined) return value
    if (!/^-?\d+$/.test(source)) return Number.NaN
    return Number.isFinite(value) ? value : Math.sign(value) * Number.MAX_VALUE
  }
  return JSON.parse(text, keepIntegers)
}
