import fp from 'fastify-plugin'
import { AppError } from '../../core/errors.ts'

/** Only escapes can produce half of a surrogate pair: the rest has been decoded from UTF-8. */
const escapedSurrogate = /\\u[dD][89a-fA-F]/
const depthMax = 100

/**
 * Bodies are JSON whatever their content type says, because `curl -d` declares a form. A missing body is undefined. A
 * route that reads no body, and an address that does not exist, answer as if there were none.
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
    // Otherwise Fastify would refuse a malformed media type before anything else is checked.
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
    const field = escapedSurrogate.test(body) ? brokenText(value)?.join('.') : undefined
    if (field === undefined) return [null, value]
    const about = field === '' ? 'the body' : field
    const message = `${about} contains half of a surrogate pair, which is no character`
    return [new AppError('bad_request', message, field === '' ? {} : { field })]
  } catch {
    return [new AppError('bad_request', 'could not parse request body')]
  }
}

/**
 * The path of the first text that cannot be stored; empty for the value itself. The path is built only if there is one.
 */
function brokenText(value: unknown, depth = 0): string[] | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : []
  if (typeof value !== 'object' || value === null || depth > depthMax) return undefined
  if (Array.isArray(value)) {
    for (const [index, part] of value.entries()) {
      const found = brokenText(part, depth + 1)
      if (found !== undefined) return [String(index), ...found]
    }
    return undefined
  }
  for (const name of Object.keys(value)) {
    if (!name.isWellFormed()) return []
    const found = brokenText((value as Record<string, unknown>)[name], depth + 1)
    if (found !== undefined) return [name, ...found]
  }
  return undefined
}
