// What the log may say. A ping URL is a password, so requests are logged by route pattern, errors by a fixed list of
// fields, and two nets catch the rest: explicit redaction paths, and a last look at each finished line for credentials
// that came in through a message somebody else wrote (Fastify's 404 line, a parser, a driver). Wildcard redaction would
// be shorter and halves the throughput.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { LoggerOptions } from 'pino'
import { type Config, version } from './config.ts'
import { settings } from './config-schema.ts'
import { databaseTarget } from './config-values.ts'

const secretHeaders = ['authorization', 'x-api-key', 'cookie', 'set-cookie']
const redactedPaths = [
  ...['', 'req.', 'res.'].flatMap((owner) => secretHeaders.map((header) => `${owner}headers["${header}"]`)),
  ...settings.filter(({ secret }) => secret).map(({ path }) => `config.${path}`),
]

/** Options for `Fastify({ logger })` and for `pino()`: the same lines either way. */
export function loggerOptions(config: Config, terminal: { stdoutIsTTY: boolean }): LoggerOptions {
  const { level, format } = config.log
  const pretty = format === 'pretty' || (format === 'auto' && terminal.stdoutIsTTY)
  return {
    level,
    base: { service: 'flatline', version },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { req: describeRequest, res: describeResponse, err: (error: unknown) => describeError(error) },
    redact: { paths: redactedPaths, censor: '[redacted]' },
    hooks: { streamWrite: lineCleaner(config) },
    ...(pretty && { transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname,service,version' } } }),
  }
}

function describeRequest(request: FastifyRequest) {
  return {
    method: request.method,
    url: request.routeOptions?.url ?? unmatchedPath(request.url),
    remoteAddress: request.ip,
  }
}

// A mistyped ping URL matches no route and still holds the credential: keys have 22 characters or more.
function unmatchedPath(url = ''): string {
  const path = url.split(/[?#;]/, 1)[0] ?? ''
  return path.slice(0, 200).replace(/[^/]{20,}/g, '***')
}

function describeResponse(reply: FastifyReply) {
  return { statusCode: reply.statusCode }
}

export type DescribedError = {
  type: string
  message: string
  code?: string | number
  statusCode?: number
  stack?: string
  cause?: DescribedError
  errors?: DescribedError[]
}

// A list instead of all own properties: drivers and parsers attach what they choked on, the raw packet of a request with
// its headers, the connection string, the row that broke a constraint.
function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error))
    return { type: typeof error, message: typeof error === 'string' ? error : 'not an Error' }
  const { code, statusCode, errors } = error as Error & { code?: unknown; statusCode?: unknown; errors?: unknown }
  const deeper = depth < 4
  return {
    type: error.name,
    message: error.message,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(typeof statusCode === 'number' && { statusCode }),
    ...(error.stack && { stack: error.stack }),
    ...(deeper && error.cause !== undefined && { cause: describeError(error.cause, depth + 1) }),
    ...(deeper &&
      Array.isArray(errors) && { errors: errors.slice(0, 5).map((inner) => describeError(inner, depth + 1)) }),
  }
}

const urlCredentials = /:\/\/[^\s/?#"\\]*@/g
const secretParameter = /([?&](?:api_key|apikey|key|token|access_token|secret|password)=)[^&#\s"'\\]*/gi
const pingPath = /(\/ping\/)(?![:*])[^/\s?#"'\\]+/g
// Monitors have random (4) or name-based (5) ids, and the id of a monitor is its ping credential. The first eight digits
// stay, to tell them apart; ids of heartbeats (7) open nothing. Matching from the first dash on is five times as fast.
const monitorId = /-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/gi

function lineCleaner(config: Config): (line: string) => string {
  const secrets = secretTexts(config)
  return (line) => {
    const cleaned = line
      .replace(urlCredentials, '://***@')
      .replace(secretParameter, '$1***')
      .replace(pingPath, '$1***')
      .replace(monitorId, '-***')
    return secrets.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), cleaned)
  }
}

// Short ones are left out: a metrics token `ok` or a password `flatline` would cut every line to pieces.
function secretTexts({ security, database }: Config): string[] {
  const { encryptionKey = [], ...tokens } = security
  const keys = encryptionKey.flatMap((hex) => [hex, Buffer.from(hex, 'hex').toString('base64')])
  const password = database.url ? (databaseTarget(database.url)?.password ?? '') : ''
  return [...Object.values(tokens), ...keys, password]
    .filter((secret) => secret.length >= 12)
    .map((secret) => JSON.stringify(secret).slice(1, -1))
}
