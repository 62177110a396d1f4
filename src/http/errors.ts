// The one place where a failure becomes an answer: `{error, code, field?}`, or the answer of the address's own dialect
// (config.answer). No answer repeats the requested address: it may contain a ping key.

import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError, type ErrorCode } from '../core/errors.ts'
import { isDatabaseAway, isOutOfTime } from '../kit/availability.ts'

export const statusOf = {
  bad_request: 400,
  unauthorized: 401,
  quota_exceeded: 403,
  // After the other code with this status: a 403 of a plugin gets this one.
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  gone: 410,
  payload_too_large: 413,
  unsupported_media_type: 415,
  too_many_requests: 429,
  internal: 500,
  unavailable: 503,
} satisfies Record<ErrorCode, number>

const codeOf = Object.fromEntries(Object.entries(statusOf).map(([code, status]) => [status, code])) as Record<
  number,
  ErrorCode
>

export const errorsPlugin = fp(
  async (app) => {
    app.setErrorHandler((error: FastifyError, request, reply) => answerFailure(app, error, request, reply))
  },
  { name: 'http-errors', dependencies: ['http-addresses'] },
)

/** Answers any failure in the words of its address. */
export function answerFailure(
  app: FastifyInstance,
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const answer = app.knownAddresses.answerOf(request) ?? answerAsJson
  answer(toAppError(error), request, reply)
}

function answerAsJson(error: AppError, request: FastifyRequest, reply: FastifyReply): void {
  prepare(error, request, reply)
  reply.send(bodyOf(error))
}

export function bodyOf({ message, code, field, limit }: AppError): Record<string, unknown> {
  return { error: message, code, ...(field !== undefined && { field }), ...(limit !== undefined && { limit }) }
}

/** Status and headers of an error; logs it if it is a fault of the service. */
export function prepare(error: AppError, request: FastifyRequest, reply: FastifyReply): void {
  if (error.code === 'internal') request.log.error({ err: error.cause, event: 'request.error' }, 'request failed')
  // For requests that Fastify refuses before any hook.
  reply.header('x-request-id', request.id)
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  if (error.retryAfterS !== undefined) reply.header('retry-after', error.retryAfterS)
  reply.code(statusOf[error.code]).type('application/json; charset=utf-8')
}

function toAppError(error: FastifyError): AppError {
  if (error instanceof AppError) return error
  if (error.validation) return fromValidation(error)
  const refused = refusedByDatabase[error.code]
  if (refused) return new AppError(refused.code, refused.message, { cause: error })
  if (badAddresses.includes(error.code)) return new AppError('bad_request', 'invalid url format', { cause: error })
  if (isOutOfTime(error)) {
    const message = 'the database is too busy, try again shortly'
    return new AppError('unavailable', message, { retryAfterS: 1, cause: error })
  }
  const status = error.statusCode ?? 500
  if (status === 503) return new AppError('unavailable', error.message, { retryAfterS: 10, cause: error })
  const code = status < 500 ? (codeOf[status] ?? 'bad_request') : isDatabaseAway(error) ? 'unavailable' : 'internal'
  if (code === 'unavailable') {
    return new AppError(code, 'the database is not reachable, try again shortly', { retryAfterS: 1, cause: error })
  }
  return new AppError(code, code === 'internal' ? 'internal error' : error.message, { cause: error })
}

/** A broken percent escape, or a part that is too long. Fastify's own messages for them repeat the address. */
const badAddresses = ['FST_ERR_BAD_URL', 'FST_ERR_MAX_PARAM_LENGTH']

/** Text that PostgreSQL cannot store, and references to objects that were just deleted. */
const refusedByDatabase: Record<string, { code: ErrorCode; message: string }> = {
  '22021': { code: 'bad_request', message: 'text contains a character that cannot be stored' },
  '22P05': { code: 'bad_request', message: 'text contains a character that cannot be stored' },
  '23505': { code: 'conflict', message: 'an object like this has just been created' },
  '23503': { code: 'conflict', message: 'an object that this refers to has just been deleted' },
}

/** The parameters of a broken rule that Ajv reports beside its message. */
type Broken = {
  missingProperty?: string
  additionalProperty?: string
  allowedValue?: unknown
  allowedValues?: unknown[]
}

/** Names the field and the rule that Ajv found broken. */
function fromValidation(error: FastifyError): AppError {
  const problem = error.validation?.[0]
  const params = (problem?.params ?? {}) as Broken
  const path = (problem?.instancePath ?? '').slice(1).replaceAll('/', '.')
  const field = [path, params.missingProperty ?? params.additionalProperty].filter(Boolean).join('.')
  const allowed = params.allowedValues ?? (params.allowedValue === undefined ? undefined : [params.allowedValue])
  const known = allowed ? `must be ${allowed.length > 1 ? 'one of ' : ''}${allowed.join(', ')}` : problem?.message
  const rule = params.additionalProperty === undefined ? known : 'is not a known field'
  const text =
    params.missingProperty === undefined ? `${field || error.validationContext} ${rule}` : `${field} is required`
  return new AppError('bad_request', text, field === '' ? {} : { field })
}

/** Answers to data that is not a valid request. */
const malformedAnswers: Record<string, { status: string; error: string }> = {
  HPE_HEADER_OVERFLOW: { status: '431 Request Header Fields Too Large', error: 'the head of the request is too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: '408 Request Timeout', error: 'the request took too long to arrive' },
}
const malformed = { status: '400 Bad Request', error: 'the request is not valid HTTP' }

/**
 * Answers data that is not a valid request in the shape of every other error, and closes the connection. Nothing of it
 * is logged.
 */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, error: text } = malformedAnswers[error.code ?? ''] ?? malformed
  const body = JSON.stringify({ error: text, code: 'bad_request' })
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}`
  socket.end(`${head}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`)
}
