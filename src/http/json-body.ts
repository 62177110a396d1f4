import fp from 'fastify-plugin'
import { AppError } from '../core/errors.ts'

/** Only what is escaped can be half of a character: the rest has been decoded from UTF-8. */
const escapedSurrogate = /\\u[dD][89a-fA-F]/
const depthMax = 100

/**
 * Bodies are JSON whatever their content type says, because `curl -d` says that they are a form. No body at all is
 * undefined. A route that reads no body, and an address that does not exist, answer as if there were none.
 */
export const jsonBodyPlugin = fp(
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (request, payload, done) => {
      if (!request.routeOptions.config.readsBody) return done(null, undefined)
      app.readBody(request, payload, (error, text = '') => {
        if (error !== null || text === '') return done(error, undefined)
        done(...parsed(text))
      })
    })
    // Fastify would refuse a malformed media type before anything else is checked.
    app.addHook('onRequest', ({ headers }, _reply, done) => {
      if (headers['content-type'] !== undefined) headers['content-type'] = 'application/octet-stream'
      done()
    })
  },
  { name: 'http-json-body' },
)

function parsed(body: string): [error: Error | null, value?: unknown] {
  try {
    const value: unknown = JSON.parse(body)
    const field = escapedSurrogate.test(body) ? brokenText(value) : undefined
    if (field === undefined) return [null, value]
    const about = field === '' ? 'the body' : field
    const message = `${about} contains half of a surrogate pair, which is no character`
    return [new AppError('bad_request', message, field === '' ? {} : { field })]
  } catch {
    return [new AppError('bad_request', 'could not parse request body')]
  }
}

/** Where the first text is that cannot be stored, as a path; empty for the body itself. */
function brokenText(value: unknown, path: readonly string[] = []): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : path.join('.')
  if (typeof value !== 'object' || value === null || path.length > depthMax) return undefined
  for (const [name, part] of Object.entries(value)) {
    const found = name.isWellFormed() ? brokenText(part, [...path, name]) : path.join('.')
    if (found !== undefined) return found
  }
  return undefined
}
