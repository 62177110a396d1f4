// The secrets of docker-compose.yml. `generate` writes those that are not there yet and changes no other, so that it can run
// at every start; `show` prints the ones that people need. One folder below the directory for each service, a volume of its own.
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

const shown = {
  'API key': 'flatline/api-key',
  'API key, read-only': 'flatline/api-key-readonly',
  'ping key': 'flatline/ping-key',
  'admin token': 'flatline/admin-token',
  'Grafana, user admin': 'grafana/admin-password',
}

if (command === 'generate') {
  const missing = Object.keys(generators).filter((name) => !existsSync(join(directory, name)))
  // In the order of the table: the address of the database holds its password.
  for (const name of missing) write(name, generators[name]())
  process.stdout.write(missing.length === 0 ? 'all secrets are there\n' : `generated ${missing.join(', ')}\n`)
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
