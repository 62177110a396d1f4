// Failures are data: a code, a sentence for the caller, and the field that is wrong. http/errors.ts maps each code to a
// status.

export type ErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'quota_exceeded'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'gone'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'too_many_requests'
  | 'unavailable'
  | 'internal'

export class AppError extends Error {
  readonly code: ErrorCode
  readonly field: string | undefined
  readonly retryAfterS: number | undefined
  /** What a quota allows. */
  readonly limit: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { field?: string; retryAfterS?: number; limit?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.field = options.field
    this.retryAfterS = options.retryAfterS
    this.limit = options.limit
  }
}
