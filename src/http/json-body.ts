import fp from 'fastify-plugin'
import { AppError } from '../core/errors.ts'

/**
 * Bodies are JSON whatever their content type says, because `curl -d` says that they are a form. No body at all is undefined.
 */
export const jsonBodyPlugin = fp(
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
      if (body === '') return done(null, undefined)
      try {
        done(null, JSON.parse(body as string))
      } catch {
        done(new AppError('bad_request', 'could not parse request body'))
      }
    })
  },
  { name: 'http-json-body' },
)
