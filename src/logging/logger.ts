// What the log may contain, and where it goes. A ping URL is a credential, so requests are logged by route pattern and
// errors by a fixed list of fields; explicit redaction paths and a last check of each finished line (redaction.ts)
// catch the rest.
import { accessSync, closeSync, constants, mkdirSync, openSync } from 'node:fs'
import { dirname, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { LoggerOptions } from 'pino'
import { type Config, version } from '../config/load.ts'
import { settings } from '../config/schema.ts'
import { networkOf } from '../kit/network.ts'
import type { LogFiles } from './file.ts'
import { prettyOptions } from './pretty.ts'
import { createLineCleaner } from './redaction.ts'

const secretHeaders = ['authorization', 'proxy-authorization', 'x-api-key', 'cookie', 'set-cookie']
const redactedPaths = [
  ...['', 'req.', 'res.'].flatMap((owner) => secretHeaders.map((header) => `${owner}headers["${header}"]`)),
  ...settings.filter(({ secret }) => secret).map(({ path }) => `config.${path}`),
]

/**
 * Options for `Fastify({ logger })` and for `pino()`; both write the same lines. `secretAddresses` are patterns of routes
 * whose first parameter is a credential. `onLine` is called with each line that is written, and `mixin` adds fields to it.
 */
export function loggerOptions(
  config: Config,
  options: {
    stdoutIsTTY: boolean
    secretAddresses: readonly string[]
    onLine?: (line: string) => void
    mixin?: () => object
  },
): LoggerOptions {
  const { level, anonymizeIp } = config.log
  const address = (ip: unknown) => (anonymizeIp && typeof ip === 'string' ? networkOf(ip, 24, 48) : ip)
  const transport = transportOf(config, options)
  const { onLine, mixin } = options
  const cleanLine = createLineCleaner(config, options.secretAddresses)
  return {
    level,
    base: { service: 'flatline', version },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: {
      req: (request: FastifyRequest) => ({
        ...describeRequest(request),
        remoteAddress: address(request.clientAddress),
      }),
      res: describeResponse,
      err: (error: unknown) => describeError(error),
      ip: address,
    },
    redact: { paths: redactedPaths, censor: '[redacted]' },
    hooks: { streamWrite: onLine === undefined ? cleanLine : (line) => passOn(cleanLine(line), onLine) },
    ...(mixin && { mixin }),
    ...(transport && { transport }),
  }
}

function passOn(line: string, onLine: (line: string) => void): string {
  onLine(line)
  return line
}

/**
 * For info lines that are also written at `warn` and `error`: start and end of the process, and actions of the
 * operator. `silent` stays silent.
 */
export function alwaysLog(log: FastifyBaseLogger): FastifyBaseLogger {
  return log.child({}, { level: log.level === 'silent' ? 'silent' : 'info' })
}

function transportOf({ log }: Config, { stdoutIsTTY }: { stdoutIsTTY: boolean }): LoggerOptions['transport'] {
  const isPretty = log.format === 'pretty' || (log.format === 'auto' && stdoutIsTTY)
  const { file, errorFile } = pathsOf(log)
  if (file === undefined && errorFile === undefined)
    return isPretty ? { target: 'pino-pretty', options: prettyOptions } : undefined
  const isOnlyFile = file !== undefined && log.destination !== 'both'
  const options: LogFiles = {
    stdout: isOnlyFile ? 'none' : isPretty ? 'pretty' : 'json',
    ...(file && { file }),
    ...(errorFile && { errorFile }),
    rotateBytes: log.rotateBytes,
    rotateKeep: log.rotateKeep,
    mode: modeOf(log),
  }
  return { target: fileURLToPath(new URL(transportFile, import.meta.url)), options }
}

/** A checkout runs the sources without a build. */
const transportFile = import.meta.url.endsWith('.ts') ? './file.ts' : './file.js'

/** The files that are written. LOG_DESTINATION=stdout switches LOG_FILE off, and not a LOG_ERROR_FILE that is set. */
function pathsOf({ destination, file, errorFile }: Config['log']): { file?: string; errorFile?: string } {
  if (file === undefined || destination === 'stdout') return { ...(errorFile && { errorFile }) }
  const beside = `${file.slice(0, file.length - extname(file).length)}.error${extname(file)}`
  return { file, errorFile: errorFile ?? beside }
}

const modeOf = ({ fileMode }: Config['log']) => Number.parseInt(fileMode, 8)

/** Throws if a log file cannot be written: an error in the writing thread would come too late. */
export function checkLogFiles({ log }: Config): void {
  const { file, errorFile } = pathsOf(log)
  for (const [name, path] of [
    ['LOG_FILE', file],
    ['LOG_ERROR_FILE', errorFile],
  ] as const) {
    if (path === undefined) continue
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
      closeSync(openSync(path, 'a', modeOf(log)))
      accessSync(dirname(path), constants.W_OK)
    } catch (error) {
      throw new Error(`${name}: ${path} cannot be written (${(error as NodeJS.ErrnoException).code})`)
    }
  }
}

function describeRequest(request: FastifyRequest) {
  return {
    method: request.method,
    url: request.routeOptions?.url ?? unmatchedPath(request.url),
  }
}

// A mistyped ping URL matches no route and still contains the credential: keys have 22 characters or more.
function unmatchedPath(url = ''): string {
  const path = url.split(/[?#;]/, 1)[0] ?? ''
  return path.slice(0, 200).replace(/[^/]{20,}/g, '***')
}

function describeResponse(reply: FastifyReply) {
  return { statusCode: reply.statusCode }
}

type DescribedError = {
  type: string
  message: string
  code?: string | number
  statusCode?: number
  stack?: string
  cause?: DescribedError
  errors?: DescribedError[]
}

/** A driver or a parser may quote its whole input, in the message and again in the stack. */
const messageMax = 4000
const stackMax = 8000

/** The beginning of the text, up to a blank: half of a secret would not be recognised as a secret. */
function begun(text: string, max: number): string {
  if (text.length <= max) return text
  const end = text.lastIndexOf(' ', max)
  return `${text.slice(0, end > 0 ? end : max)}…`
}

// A fixed list instead of all own properties: drivers and parsers attach their input, for example the raw packet of a
// request with its headers, the connection string, or the row that broke a constraint.
function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error))
    return { type: typeof error, message: typeof error === 'string' ? begun(error, messageMax) : 'not an Error' }
  const { code, statusCode, errors } = error as Error & { code?: unknown; statusCode?: unknown; errors?: unknown }
  const deeper = depth < 4
  return {
    type: error.name,
    message: begun(error.message, messageMax),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(typeof statusCode === 'number' && { statusCode }),
    ...(error.stack && { stack: begun(error.stack, stackMax) }),
    ...(deeper && error.cause !== undefined && { cause: describeError(error.cause, depth + 1) }),
    ...(deeper &&
      Array.isArray(errors) && { errors: errors.slice(0, 5).map((inner) => describeError(inner, depth + 1)) }),
  }
}
