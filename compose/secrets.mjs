// The secrets of docker-compose.yml. `generate` writes those that the environment sets, and generates those that are not there yet; it changes
// no other, so that it can run at every start. `show` prints the ones that people need. One folder below the directory for each service, a
// volume of its own.
//
//   node secrets.mjs generate|show [directory]

import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const [command, directory = '/secrets'] = process.argv.slice(2)

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'
const key = (prefix, length) => () =>
  prefix + Array.from({ length: length - prefix.length }, () => alphabet[randomInt(alphabet.length)]).join('')
const hex = (bytes) => () => randomBytes(bytes).toString('hex')

/** Keys have the form of those that the service generates itself. */
const generators = {
  'postgres/password': key('', 40),
  'flatline/database-url': () => `postgres://flatline:${read('postgres/password')}@postgres:5432/flatline`,
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
  if (set.length > 0) process.stdout.write(`set ${set.join(', ')}\n`)
  if (missing.length > 0) process.stdout.write(`generated ${missing.join(', ')}\n`)
  if (set.length + missing.length === 0) process.stdout.write('all secrets are there\n')
} else if (command === 'show') {
  for (const [title, name] of Object.entries(shown)) process.stdout.write(`${title.padEnd(20)} ${read(name)}\n`)
} else {
  process.stderr.write('usage: secrets.mjs generate|show [directory]\n')
  process.exitCode = 1
}

function read(name) {
  return readFileSync(join(directory, name), 'utf8').trim()
}

/** Whole or not at all. Readable for every user of the container that mounts the volume: each image has another. */
function write(name, value) {
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.part`, `${value}\n`, { mode: 0o444 })
  renameSync(`${path}.part`, path)
}
