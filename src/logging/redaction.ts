// The last check of a finished line. Earlier steps redact fields by name; this one handles texts from elsewhere: an
// error of a driver, Fastify's 404 line, a quoted body. Wildcard redaction by field would be shorter and halves the
// throughput. No rule may match the same part of a line again from each of its positions: the sender of a long text
// could stop the process. So a rule begins with fixed words, not with what may precede them, and what follows is one
// class of characters or has a limit.
import type { Config } from '../config/load.ts'
import { databaseTarget } from '../config/values.ts'

const secretWord =
  '(?:password|passwd|pwd|secret|token|api[_-]?key|routing[_-]?key|encryption[_-]?key|authorization|cookie|credential)s?'

type RedactionRule = [pattern: RegExp, replacement: string]

const rules: RedactionRule[] = [
  // user:password@ of any connection string or address.
  [/:\/\/[^\s/?#"\\]*@/g, '://***@'],
  // "password":"…", "db_password":"…", also escaped within another text.
  [new RegExp(`(${secretWord}\\\\{0,32}"\\s{0,32}:\\s{0,32}\\\\{0,32}")(?:[^"\\\\]|\\\\[^"])+`, 'gi'), '$1[redacted]'],
  // password=…, ?ping_token=…
  [new RegExp(`(${secretWord}|\\bkey)=[^&#\\s"'\\\\,;]+`, 'gi'), '$1=***'],
  // Headers as text.
  [/\b((?:proxy-)?authorization|x-api-key|(?:set-)?cookie): *[^"\\\r\n]+/gi, '$1: ***'],
  [/\b(Bearer|Basic) +[\w.~+/=-]{8,}/gi, '$1 ***'],
  // Flatline's own keys, and 32 bytes in hex: an encryption key.
  [/\bfl[wr]_[a-z0-9]{28}\b/g, '***'],
  [/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/gi, '***'],
  // Addresses that are credentials.
  [/(\/unsubscribe\/)(?![:*])[^/\s?#"'\\]+/g, '$1***'],
  [/(\/metrics\/)[\w-]{32}(?![\w-])/g, '$1***'],
  [
    /(hooks\.slack\.com\/|discord(?:app)?\.com\/api\/webhooks\/|api\.telegram\.org\/bot|hooks\.zapier\.com\/)[^\s?#"'\\]+/gi,
    '$1***',
  ],
  // Checks have random (4) or name-based (5) ids, and the id of a check is its ping credential. The first eight digits
  // stay, to distinguish checks; ids of heartbeats (7) are no credential. Matching from the first dash on is five times
  // as fast.
  [/-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/gi, '-***'],
]

// The first letter and the last part of the domain stay.
const mailAddress = /(?<![\w.%+*-])([a-z0-9])[\w.%+-]*@(?:[a-z0-9-]+\.)+([a-z]{2,})\b/gi

/** Takes a line and returns it without secrets. `secretAddresses` are patterns of routes whose first parameter is a credential. */
export function createLineCleaner(config: Config, secretAddresses: readonly string[]): (line: string) => string {
  const secrets = secretTexts(config)
  const allRules = [...rules, ...addressRules(secretAddresses)]
  return (line) => {
    let cleaned = line
    for (const [pattern, replacement] of allRules) cleaned = cleaned.replace(pattern, replacement)
    if (cleaned.includes('@')) cleaned = cleaned.replace(mailAddress, '$1***@***.$2')
    for (const secret of secrets) if (cleaned.includes(secret)) cleaned = cleaned.replaceAll(secret, '[redacted]')
    return cleaned
  }
}

/**
 * After the fixed part of an address everything is a credential; without a fixed part, what has the form that its route
 * demands. These rules come after the one for the ids of checks, which leaves their first digits on the bare root.
 */
function addressRules(patterns: readonly string[]): RedactionRule[] {
  const prefixes = new Set<string>()
  const forms = new Set<string>()
  for (const pattern of patterns) {
    const [, prefix, form] = /^(\/(?:[^:]*\/)?):\w+(?:\(\^(.*?)\$\))?(?=\/|$)/.exec(pattern) ?? []
    if (prefix === undefined || (prefix === '/' && form === undefined))
      throw new Error(`the log cannot know which part of ${pattern} is a credential`)
    if (prefix === '/') forms.add(String(form))
    else prefixes.add(prefix.replace(/[^\w/-]/g, '\\$&'))
  }
  const anyOf = (parts: ReadonlySet<string>) => `(?:${[...parts].join('|')})`
  const none: RedactionRule[] = []
  return none.concat(
    prefixes.size === 0 ? [] : [[new RegExp(`(${anyOf(prefixes)})(?![:*])[^/\\s?#"'\\\\]+`, 'g'), '$1***']],
    forms.size === 0 ? [] : [[new RegExp(`(${beforePath})/${anyOf(forms)}(?![\\w-])`, 'g'), '$1/***']],
  )
}

/** What comes before a path in a text: nothing, a delimiter, or a scheme and a host. */
const beforePath = `^|["'\\s:]|://[^\\s/?#"'\\\\]+`

// Short secrets are left out: a metrics token `ok` or a password `flatline` would remove harmless text from every line.
function secretTexts({ security, database, alerting, telemetry }: Config): string[] {
  const { encryptionKey = [], ...tokens } = security
  const keys = encryptionKey.flatMap((hex) => [hex, Buffer.from(hex, 'hex').toString('base64')])
  const password = database.url ? (databaseTarget(database.url)?.password ?? '') : ''
  const headers = (telemetry.headers ?? '').split(',').map((pair) => pair.slice(pair.indexOf('=') + 1).trim())
  const sentryKey = URL.parse(telemetry.sentryDsn ?? '')?.username ?? ''
  return [...Object.values(tokens), ...keys, password, alerting.smtpPassword ?? '', ...headers, sentryKey]
    .filter((secret) => secret.length >= 12)
    .map((secret) => JSON.stringify(secret).slice(1, -1))
}
