// The connection of a command to a running Flatline: the address and a project's key, or the operator's token, from
// options or from the configuration of the machine.

import { loadConfig } from '../config/load.ts'
import { CommandError, type Problem, ServerRefusal, UnreachableError } from './errors.ts'
import { inputMaxBytes, readAnswer, readInput } from './input.ts'

export const serverOptions = {
  server: { type: 'string' },
  key: { type: 'string' },
  'key-file': { type: 'string' },
} as const

export const serverUsage = `  --server URL      address of Flatline (default: SITE_URL, or HOST and PORT of the configuration)
  --key KEY         a project's read-write key (default: BOOTSTRAP_API_KEY); --key-file FILE reads it from a file`

type ServerValues = { server?: string | undefined; key?: string | undefined; 'key-file'?: string | undefined }

/** Which secret of the configuration a command needs: a project's key, or the operator's token. */
export type Credential = 'project' | 'operator'

export type Server = {
  url: string
  key: string
  get(path: string): Promise<unknown>
  post(path: string, body: object): Promise<unknown>
  /** Null for an answer without a body. */
  call(method: string, path: string, body?: object): Promise<unknown>
}

export function connect(
  options: ServerValues,
  credential: Credential = 'project',
  warn: (text: string) => void = console.error,
): Server {
  return createServerClient(options.server ?? configuredUrl(), keyOf(options, credential, warn))
}

const credentials = {
  project: { what: 'a read-write key', name: 'BOOTSTRAP_API_KEY' },
  operator: { what: "the operator's token", name: 'ADMIN_TOKEN' },
} as const

function keyOf(options: ServerValues, credential: Credential, warn: (text: string) => void): string {
  const { what, name } = credentials[credential]
  if (options.key !== undefined)
    warn(
      `WARNING: every user of this machine can read --key in the list of processes: --key-file and ${name} are hidden`,
    )
  const key = options.key ?? keyFromFile(options['key-file']) ?? configuredKey(credential)
  if (key === undefined) throw new CommandError(`${what} is needed: --key, --key-file or ${name}`)
  return key
}

function configuredKey(credential: Credential): string | undefined {
  const { bootstrapApiKey, adminToken } = loadConfig().security
  return credential === 'project' ? bootstrapApiKey : adminToken
}

/** Any server that accepts a key as X-Api-Key and answers errors with `{error}`. */
export function createServerClient(address: string, key: string): Server {
  const url = address.replace(/\/+$/, '')

  async function request(path: string, init: RequestInit): Promise<unknown> {
    const headers = { ...init.headers, 'x-api-key': key }
    // The key must only go to the address that the user named, not to the target of a redirect.
    const options: RequestInit = { ...init, headers, redirect: 'manual' }
    const response = await fetch(url + path, options).catch((error: Error & { cause?: Error }) => {
      throw new UnreachableError(`cannot reach ${url}: ${error.cause?.message || error.message}`)
    })
    const location = response.headers.get('location')
    if (response.status >= 300 && response.status < 400) throw redirected(url + path, response.status, location)
    const text = await readAnswer(url + path, response)
    if (response.ok) return text === '' ? null : parse(url + path, text)
    const problem = problemOf(text)
    const message = `${url}${path} answers ${response.status}: ${problem?.error ?? excerptOf(text)}`
    throw new ServerRefusal(response.status, message, problem)
  }

  const call: Server['call'] = (method, path, body) =>
    request(path, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })

  return { url, key, call, get: (path) => call('GET', path), post: (path, body) => call('POST', path, body) }
}

export function keyFromFile(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readInput(path, inputMaxBytes.key).trim()
}

const configuredUrl = () => loadConfig().server.siteUrl ?? localUrl()

/** The address of the process on this machine. */
export function localUrl(): string {
  const { host, port } = loadConfig().server
  const isAnywhere = ['0.0.0.0', '::'].includes(host)
  return `http://${isAnywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Shows enough of `location` to tell which address to use instead. */
function redirected(asked: string, status: number, location: string | null): CommandError {
  const target = location === null ? null : URL.parse(location, asked)
  const where = target === null ? '' : ` and points to ${target.origin}${target.pathname.slice(0, 200)}`
  return new ServerRefusal(
    status,
    `${asked} answers ${status}${where}: redirects are not followed with a key, use the final address`,
  )
}

function parse(address: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new UnreachableError(`${address} answers with something that is not JSON: is the address right?`)
  }
}

function problemOf(text: string): Problem | null {
  try {
    const { error, code, field } = JSON.parse(text) as Record<string, unknown>
    if (typeof error !== 'string') return null
    return { error, ...(typeof code === 'string' && { code }), ...(typeof field === 'string' && { field }) }
  } catch {
    return null
  }
}

const excerptOf = (text: string) => text.replace(/\s+/g, ' ').trim().slice(0, 200) || 'nothing more'
