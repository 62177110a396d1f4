// The only way to a destination that a user chose. It resolves a name once and connects to a checked address of that
// answer, so that a name that resolves differently the second time gains nothing. Every hop has its own connection: a
// pooled one would save a handshake and cost a retry whenever the destination closed it meanwhile.

import { lookup as resolveName } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { buildConnector, Dispatcher } from 'undici'
import { isPublicAddress } from './addresses.ts'

export type FetchRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH'
  headers?: Record<string, string>
  body?: string
  signal: AbortSignal
  /** The limit of the whole exchange, redirects included, instead of the usual one. */
  timeoutMs?: number
  /**
   * Called once the connection is established, before anything is sent. If it throws, the exchange ends with that
   * error.
   */
  beforeSend?: () => void
}

/** `body` is cut at the limit, or where the connection broke after the status. */
export type FetchResponse = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }

/** Rejects with FetchError, with the signal's reason if the caller cancelled, or with what `beforeSend` threw. */
export type GuardedFetch = (url: string, request: FetchRequest) => Promise<FetchResponse>

export type Resolve = (hostname: string) => Promise<{ address: string; family: number }[]>

/** The message names at most the host. `refused`: the guard refused the address, and no request was sent there. */
export class FetchError extends Error {
  override name = 'FetchError'
  readonly refused: boolean

  constructor(message: string, options: { refused?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.refused = options.refused ?? false
  }
}

type Hop = { url: URL; method: FetchRequest['method']; headers: Record<string, string>; body: string | undefined }

const redirectsMax = 3
const connectTimeoutMs = 10_000

/**
 * Headers that are sent along when a redirect leads to another origin: any other header may be a secret of the first
 * origin.
 */
const portableHeaders = ['accept', 'content-type', 'idempotency-key', 'user-agent']

export function createGuardedFetch(options: {
  allowPrivateTargets: boolean
  /** Refuses addresses without TLS. */
  httpsOnly?: boolean
  /** Private addresses that are allowed nevertheless. */
  isExempt?: (address: string) => boolean
  /** The limit of the whole exchange, redirects included. */
  timeoutMs: number
  responseMaxBytes: number
  userAgent: string
  resolve?: Resolve
}): GuardedFetch {
  const { timeoutMs, responseMaxBytes, userAgent, resolve = (host) => resolveName(host, { all: true }) } = options
  const isExempt = options.isExempt ?? (() => false)
  const isAllowed = (address: string) => options.allowPrivateTargets || isPublicAddress(address) || isExempt(address)
  const check = (address: string) => checkedUrl(address, isAllowed, options.httpsOnly ?? false)
  let loaded: Promise<HopClient> | undefined
  /** With the first request: a service that sends no alerts does not need the memory of the library. */
  const load = () => (loaded ??= loadHopClient(checkedLookup(resolve, isAllowed)))

  async function exchange({ url, ...hop }: Hop, signal: AbortSignal, beforeSend: () => void): Promise<FetchResponse> {
    const { Client, connector } = await load()
    const connect = checkedConnector(connector, beforeSend)
    const client = new Client(url.origin, { connect, allowH2: false, pipelining: 0, headersTimeout: 0, bodyTimeout: 0 })
    const giveUp = () => void client.destroy(signal.reason as Error).catch(() => undefined)
    // A signal on the request would take effect only once it is connected.
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      signal.throwIfAborted()
      const response = await client.request({ ...hop, body: hop.body ?? null, path: url.pathname + url.search })
      const { statusCode: status, headers } = response
      return { status, headers, body: await readBounded(response.body, responseMaxBytes) }
    } finally {
      signal.removeEventListener('abort', giveUp)
      giveUp()
    }
  }

  return async (target, request) => {
    const withinMs = request.timeoutMs ?? timeoutMs
    const timeout = AbortSignal.timeout(withinMs)
    const signal = AbortSignal.any([request.signal, timeout])
    const { beforeSend = () => undefined } = request
    const headers = lowerCased({ 'user-agent': userAgent, ...lowerCased(request.headers ?? {}) })
    let hop: Hop = { url: check(target), method: request.method, headers, body: request.body }
    for (let redirects = 0; ; redirects++) {
      const { hostname } = hop.url
      const response = await exchange(hop, signal, beforeSend).catch((error: unknown) => {
        if (request.signal.aborted) throw request.signal.reason
        if (error instanceof StoppedError) throw error.cause
        if (timeout.aborted)
          throw new FetchError(`no answer within ${withinMs} ms from ${hostname}`, { cause: timeout.reason })
        throw toFetchError(error, hostname)
      })
      const next = redirected(hop, response, check)
      if (next === null) return response
      if (redirects === redirectsMax)
        throw new FetchError(`more than ${redirectsMax} redirects, the last by ${hostname}`)
      hop = next
    }
  }
}

/** `beforeSend` threw: the caller cancelled the exchange while the connection was being made. */
class StoppedError extends Error {}

type Connector = ReturnType<typeof buildConnector>

type HopClient = Pick<typeof import('undici'), 'Client'> & { connector: Connector }

async function loadHopClient(lookup: LookupFunction): Promise<HopClient> {
  const { buildConnector, Client } = await import('undici')
  const connector = buildConnector({
    lookup,
    timeout: connectTimeoutMs,
    rejectUnauthorized: true,
    // No TLS session is resumed: a session of one channel's destination must not serve another channel.
    maxCachedSessions: 0,
    allowH2: false,
  })
  return { Client, connector }
}

function checkedConnector(connector: Connector, beforeSend: () => void): Connector {
  return (options, callback) =>
    connector(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null)
      try {
        beforeSend()
      } catch (cause) {
        socket.destroy()
        return callback(new StoppedError('not sent', { cause }), null)
      }
      callback(null, socket)
    })
}

function checkedUrl(text: string, isAllowed: (address: string) => boolean, httpsOnly: boolean): URL {
  const refuse = (message: string) => new FetchError(message, { refused: true })
  const url = URL.parse(text)
  if (url === null) throw refuse('the address is not a valid URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse('the address is neither http nor https')
  if (httpsOnly && url.protocol === 'http:') throw refuse('the address is http, and only https is allowed')
  if (url.username || url.password) throw refuse('the address contains credentials')
  // The URL parser has already converted every spelling of an IPv4 address into the usual one.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0 && !isAllowed(host)) throw refuse(`${host} is not an allowed destination`)
  return url
}

function checkedLookup(resolve: Resolve, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, { all }, callback) => {
    resolve(hostname).then(
      (found) => {
        const allowed = found.filter(({ address }) => isAllowed(address))
        const [first] = allowed
        if (first === undefined) {
          const message = `${hostname} resolves to no allowed destination`
          return callback(new FetchError(message, { refused: true }), '')
        }
        return all ? callback(null, allowed) : callback(null, first.address, first.family)
      },
      (error: Error) => callback(error, ''),
    )
  }
}

/** The hop that a redirect requests; null if the response is not a redirect. */
function redirected(hop: Hop, response: FetchResponse, check: (address: string) => URL): Hop | null {
  const location = [response.headers.location].flat()[0]
  if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return null
  const target = URL.parse(location, hop.url.href)
  if (target === null) throw new FetchError(`${hop.url.hostname} redirects to an invalid address`)
  const url = check(target.href)
  // Data that was meant for TLS, including credentials in the body or path, would be sent in clear text.
  if (hop.url.protocol === 'https:' && url.protocol === 'http:')
    throw new FetchError(`${hop.url.hostname} redirects from https to http`)
  const repeats = response.status === 307 || response.status === 308
  const headers = Object.entries(hop.headers).filter(
    ([name]) =>
      (repeats || !name.startsWith('content-')) && (url.origin === hop.url.origin || portableHeaders.includes(name)),
  )
  return {
    url,
    method: repeats ? hop.method : 'GET',
    headers: Object.fromEntries(headers),
    body: repeats ? hop.body : undefined,
  }
}

/** Nothing that happens after the status changes the answer of the destination. */
async function readBounded(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= maxBytes) break
    }
  } catch {
    // Interrupted, or out of time.
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}

const explanations: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host name could not be resolved',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_SOCKET: 'connection closed without an answer',
}

function toFetchError(error: unknown, host: string): FetchError {
  if (error instanceof FetchError) return error
  const { code } = error as { code?: unknown }
  const name = typeof code === 'string' ? code : 'request failed'
  // Nothing was sent: a header or another part cannot be sent, now or later.
  if (name === 'UND_ERR_INVALID_ARG') return new FetchError('the request is not valid', { refused: true, cause: error })
  return new FetchError(`${explanations[name] ?? name}: ${host}`, { cause: error })
}

function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
