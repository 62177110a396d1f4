// The conventions of Healthchecks' management API (https://healthchecks.io/docs/api/), for the plugins that serve its
// calls: the body of a POST is JSON whatever its content type says, and may contain the key; errors are `{error}`, or
// an empty body where the original sends none; the form without the slash at the end redirects to the one with it.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../core/errors.ts'
import { parseJson } from '../body/python-json.ts'
import { bodyOf, prepare } from '../errors.ts'
import { redirectToSlash } from '../slashes.ts'
import { describedOnly } from './validation.ts'

/** The three versions differ little and are served side by side. */
export const apiVersions = [1, 2, 3] as const
export type ApiVersion = (typeof apiVersions)[number]

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the key may come in the body, as `api_key`. */
    keyInBody?: boolean
  }
}

/** Configures the (encapsulated) instance that is passed. */
export function speakHealthchecks(app: FastifyInstance): void {
  // The modules validate the input in the words and in the order of Healthchecks.
  app.setValidatorCompiler(describedOnly)
  app.addHook('onRoute', (route) => {
    const isPost = route.method === 'POST'
    route.config = {
      ...route.config,
      answer,
      ...(isPost && { readsBody: true, keyInBody: true }),
    } as typeof route.config
  })
  redirectToSlash(app)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => {
    // Only the body of a POST has a meaning.
    if (!request.routeOptions.config.readsBody) return done(null, undefined)
    app.readBody(request, payload, (error, text = '') => {
      if (error !== null || text === '') return done(error, undefined)
      try {
        done(null, parseJson(text))
      } catch {
        done(new AppError('bad_request', 'could not parse request body'))
      }
    })
  })
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.method !== 'POST') return done()
    if (request.body === undefined) request.body = {}
    const isObject = typeof request.body === 'object' && request.body !== null && !Array.isArray(request.body)
    done(isObject ? undefined : new AppError('bad_request', 'json validation error: value is not an object'))
  })
}

/** Failures that Healthchecks answers with a status alone. */
const silent: readonly string[] = ['forbidden', 'not_found', 'method_not_allowed']

function answer(failure: AppError, request: FastifyRequest, reply: FastifyReply): void {
  prepare(failure, request, reply)
  if (failure.code === 'conflict') reply.type('text/plain; charset=utf-8').send(failure.message)
  // Healthchecks answers 403 with an empty body, which would not say which limit was reached.
  else if (failure.limit !== undefined) reply.send(bodyOf(failure))
  else reply.send(silent.includes(failure.code) || failure.message === '' ? '' : { error: failure.message })
}
