// Reads the listen address without the rest of the configuration, which takes ten times as long to load as a health
// check may take. It understands only the plainest notation; for any other it returns undefined, and the caller reads
// the whole configuration.

import { readFileSync } from 'node:fs'

type Source = { env?: Record<string, string | undefined>; profileDir?: URL }

export function readListenAddress(source: Source = {}): { host: string; port: number } | undefined {
  const { env = process.env, profileDir = new URL('../../config/', import.meta.url) } = source
  const [host, port] = [single(env, 'HOST'), single(env, 'PORT')]
  const profile = readProfile(profileDir, single(env, 'DEPLOYMENT_ENV', 'ENVIRONMENT') || 'local')
  if (host === undefined || port === undefined || profile === undefined) return undefined
  if (!/^\d{0,5}$/.test(port) || Number(port) > 65_535 || !/^[A-Za-z0-9.:%_-]*$/.test(host)) return undefined
  return { host: host || profile.host || '127.0.0.1', port: Number(port || 8000) }
}

/** The value of a setting: empty if it is not set, undefined if its two names have different values. */
function single(env: Record<string, string | undefined>, alias: string, key = `SERVER__${alias}`): string | undefined {
  const [first = '', second = first] = [env[alias], env[`FLATLINE__${key}`]].filter(Boolean)
  return first === second ? first : undefined
}

/** The host in a profile. Undefined if the profile sets a port, or writes the host unlike the shipped profiles. */
function readProfile(dir: URL, environment: string): { host?: string } | undefined {
  if (!/^[a-z]+$/.test(environment)) return undefined
  try {
    const text = readFileSync(new URL(`${environment}.yaml`, dir), 'utf8').replaceAll(/(^|\s)#.*$/gm, '')
    if (!/\b(host|port)\b/i.test(text)) return {}
    const host = /^server:\n {2}host: ([0-9.]+)\n(?![\s\S]*\b(host|port)\b)/im.exec(text)?.[1]
    return host === undefined || /\b(host|port)\b/i.test(text.slice(0, text.indexOf('server:'))) ? undefined : { host }
  } catch {
    return undefined
  }
}
