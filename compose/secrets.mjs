// The secrets and certificates of docker-compose.yml. `generate` writes those that the environment sets, and generates those that are not there
// yet; it changes no other, except certificates that end or that lack a name, so that it can run at every start. `show` prints the ones that
// people need, `authority` the certificate that clients must trust. One folder below the directory for each service, a volume of its own.
//
//   node secrets.mjs generate|show|authority [directory]
//
// HTTPS_HOSTS    names and addresses under which clients reach the load balancer, besides localhost
// KEY_GROUP      the group that PostgreSQL runs in: it refuses a key that everybody can read

import { randomBytes, randomInt } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createAuthority, createServer, isCurrent } from './certificates.mjs'

const [command, directory = '/secrets'] = process.argv.slice(2)

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'
const key = (prefix, length) => () =>
  prefix + Array.from({ length: length - prefix.length }, () => alphabet[randomInt(alphabet.length)]).join('')
const hex = (bytes) => () => randomBytes(bytes).toString('hex')

/** What older versions generated. */
const plainUrl = () => `postgres://flatline:${read('postgres/password')}@postgres:5432/flatline`
const verified = '?sslmode=verify-full&sslrootcert=/run/secrets/ca.crt'

/** Keys have the form of those that the service generates itself. */
const generators = {
  'postgres/password': key('', 40),
  'flatline/database-url': () => plainUrl() + verified,
  'flatline/encryption-key': hex(32),
  'flatline/admin-token': key('', 40),
  'flatline/api-key': key('flw_', 32),
  'flatline/api-key-readonly': key('flr_', 32),
  'flatline/ping-key': key('', 22),
  'grafana/admin-password': key('', 24),
}

/** By which variables the service reads them. */
const variables = {
  'flatline/database-url': 'DATABASE_URL',
  'flatline/encryption-key': 'ENCRYPTION_KEY',
  'flatline/admin-token': 'ADMIN_TOKEN',
  'flatline/api-key': 'BOOTSTRAP_API_KEY',
  'flatline/api-key-readonly': 'BOOTSTRAP_API_KEY_READONLY',
  'flatline/ping-key': 'BOOTSTRAP_PING_KEY',
}

const shown = {
  'API key': 'flatline/api-key',
  'API key, read-only': 'flatline/api-key-readonly',
  'ping key': 'flatline/ping-key',
  'admin token': 'flatline/admin-token',
  'Grafana, user admin': 'grafana/admin-password',
}

if (command === 'generate') {
  const exists = (name) => existsSync(join(directory, name))
  const given = (name) => process.env[variables[name] ?? ''] || undefined
  const set = Object.keys(generators).filter((name) => given(name) && !(exists(name) && read(name) === given(name)))
  for (const name of set) write(name, given(name))
  const missing = Object.keys(generators).filter((name) => !exists(name))
  // In the order of the table: the address of the database contains its password.
  for (const name of missing) write(name, generators[name]())
  if (read('flatline/database-url') === plainUrl()) {
    write('flatline/database-url', plainUrl() + verified)
    set.push('flatline/database-url')
  }
  missing.push(...certify())
  if (set.length > 0) process.stdout.write(`set ${set.join(', ')}\n`)
  if (missing.length > 0) process.stdout.write(`generated ${missing.join(', ')}\n`)
  if (set.length + missing.length === 0) process.stdout.write('all secrets are there\n')
} else if (command === 'show') {
  for (const [title, name] of Object.entries(shown)) process.stdout.write(`${title.padEnd(20)} ${read(name)}\n`)
} else if (command === 'authority') {
  process.stdout.write(`${read('authority/ca.crt')}\n`)
} else {
  process.stderr.write('usage: secrets.mjs generate|show|authority [directory]\n')
  process.exitCode = 1
}

/** Writes the certificates that are not there or not current, and returns their names. */
function certify() {
  const made = []
  if (!existsSync(join(directory, 'authority/ca.crt'))) {
    const { key, certificate } = createAuthority()
    write('authority/ca.key', key, { mode: 0o400 })
    write('authority/ca.crt', certificate)
    made.push('authority/ca.crt')
  }
  const authority = { key: read('authority/ca.key'), certificate: read('authority/ca.crt') }
  for (const service of ['flatline', 'redis']) {
    const path = `${service}/ca.crt`
    if (!existsSync(join(directory, path)) || read(path) !== authority.certificate) write(path, authority.certificate)
  }
  const extra = (process.env.HTTPS_HOSTS ?? '').split(',').filter(Boolean)
  const servers = { postgres: ['postgres'], redis: ['redis'], haproxy: ['localhost', '127.0.0.1', 'haproxy', ...extra] }
  for (const [service, hosts] of Object.entries(servers)) {
    // The load balancer reads certificate and key from one file.
    const path = service === 'haproxy' ? 'haproxy/default.pem' : `${service}/server.crt`
    if (existsSync(join(directory, path)) && isCurrent(read(path), authority, hosts)) continue
    const { key, certificate } = createServer(authority, hosts)
    if (service === 'postgres') write('postgres/server.key', key, { mode: 0o640, group: process.env.KEY_GROUP })
    if (service === 'redis') write('redis/server.key', key)
    // Last: it shows that the key is there.
    write(path, service === 'haproxy' ? certificate + key : certificate)
    made.push(path)
  }
  return made
}

function read(name) {
  return readFileSync(join(directory, name), 'utf8').trim()
}

/** Whole or not at all. Readable for every user of the container that mounts the volume: each image has another. */
function write(name, value, { mode = 0o444, group } = {}) {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.part`, `${value.trim()}\n`, { mode })
  // -1 leaves the owner. A member of the group needs no privilege for it.
  if (group) chownSync(`${path}.part`, -1, Number(group))
  renameSync(`${path}.part`, path)
}
