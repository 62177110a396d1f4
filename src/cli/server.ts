// The connection of a command to a running Flatline: the address and a project's read-write key, from options or from
// the configuration of the machine.

import { loadConfig } from '../config/load.ts'
import { CommandError, ServerRefusal } from './errors.ts'
import { inputMaxBytes, readAnswer, readInput } from './input.ts'

export const serverOptions = {
  server: { type: 'string' },
  key: { type: 'string' },
  'key-file': { type: 'string' },
} as const

export const serverUsage = `  --server URL      address of Flatline (default: SITE_URL, or HOST and PORT of the configuration)
  --key KEY         a project's read-write key (default: BOOTSTRAP_API_KEY); --key-file FILE reads it from a file`

export type Server = {
  url: string
  get(path: string): Promise<unknown>
  post(path: string, body: object): Promise<unknown>
}

export function connect(options: {
  server?: string | undefined
  key?: string | undefined
  'key-file'?: string | undefined
}): Server {
  const key = options.key ?? keyFromFile(options['key-file']) ?? loadConfig().security.bootstrapApiKey
  if (key === undefined) throw new CommandError('a read-write key is needed: --key, --key-file or BOOTSTRAP_API_KEY')
  return createServerClient(options.server ?? configuredUrl(), key)
}

/** Any server that accepts a key as X-Api-Key and answers errors with `{error}`. */
export function createServerClient(address: string, key: string): Server {
  const url = address.replace(/\/+$/, '')

  async function request(path: string, init: RequestInit): Promise<unknown> {
    const headers = { ...init.headers, 'x-api-key': key }
    // The key must only go to the address that the user named, not to the target of a redirect.
    const options: RequestInit = { ...init, headers, redirect: 'manual' }
    const response = await fetch(url + path, options).catch((error: Error & { cause?: Error }) => {
      throw new CommandError(`cannot reach ${url}: ${error.cause?.message || error.message}`)
    })
    const location = response.headers.get('location')
    if (response.status >= 300 && response.status < 400) throw redirected(url + path, response.status, location)
    const text = await readAnswer(url + path, response)
    if (response.ok) return parse(url + path, text)
    throw new ServerRefusal(response.status, `${url}${path} answers ${response.status}: ${problemOf(text)}`)
  }

  return {
    url,
    get: (path) => request(path, {}),
    post: (path, body) =>
      request(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  }
}

export function keyFromFile(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readInput(path, inputMaxBytes.key).trim()
}

function configuredUrl(): string {
  const { siteUrl, host, port } = loadConfig().server
  const isAnywhere = ['0.0.0.0', '::'].includes(host)
  return siteUrl ?? `http://${isAnywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`
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
    throw new CommandError(`${address} answers with something that is not JSON: is the address right?`)
  }
}

function problemOf(text: string): string {
  try {
    return String((JSON.parse(text) as { error?: unknown }).error)
  } catch {
    return text.replace(/\s+/g, ' ').trim().slice(0, 200) || 'nothing more'
  }
}
