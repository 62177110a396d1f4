import fp from 'fastify-plugin'
import { AppError } from '../core/errors.ts'

/** Only what is escaped can be half of a character: the rest has been decoded from UTF-8. */
const escapedSurrogate = /\\u[dD][89a-fA-F]/
const depthMax = 100

/**
 * Bodies are JSON whatever their content type says, because `curl -d` says that they are a form. No body at all is undefined.
 */
export const jsonBodyPlugin = fp(
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
      if (body === '') return done(null, undefined)
      const [error, value] = parsed(body as string)
      done(error, value)
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
