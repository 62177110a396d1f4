// The certificates that compose/secrets.mjs makes, in real TLS connections.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { scratchDir } from '../../helper.ts'
import { run } from '../containers.ts'

const program = new URL('../../../compose/secrets.mjs', import.meta.url).pathname
const generate = (directory: string, env = {}) => run(process.execPath, [program, 'generate', directory], { env })

/** How a client that trusts the authority sees the server, when it calls it by this name. */
async function greet(t: TestContext, server: { cert: string; key: string }, ca: string, name: string): Promise<string> {
  const listener = createServer(server, (socket) => socket.end('hello')).listen(0, '127.0.0.1')
  listener.on('tlsClientError', () => undefined)
  t.after(() => listener.close())
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  const client = connect({ host: '127.0.0.1', port, ca, servername: name })
  const outcome = await once(client, 'secureConnect').then(
    () => 'trusted',
    (error: NodeJS.ErrnoException) => String(error.code),
  )
  client.destroy()
  return outcome
}

test('the authority signs certificates that clients accept for the right server alone', async (t) => {
  const directory = await scratchDir(t)
  await generate(directory)
  const read = (name: string) => readFileSync(join(directory, name), 'utf8')
  const ca = read('flatline/ca.crt')
  assert.equal(await run(process.execPath, [program, 'authority', directory]), ca)
  const postgres = { cert: read('postgres/server.crt'), key: read('postgres/server.key') }
  assert.equal(await greet(t, postgres, ca, 'postgres'), 'trusted')
  assert.equal(await greet(t, postgres, ca, 'redis'), 'ERR_TLS_CERT_ALTNAME_INVALID')
  const redis = { cert: read('redis/server.crt'), key: read('redis/server.key') }
  assert.equal(await greet(t, redis, ca, 'redis'), 'trusted')
  const balancer = { cert: read('haproxy/default.pem'), key: read('haproxy/default.pem') }
  assert.equal(await greet(t, balancer, ca, 'localhost'), 'trusted')

  const other = await scratchDir(t)
  await generate(other)
  const stranger = readFileSync(join(other, 'flatline/ca.crt'), 'utf8')
  assert.notEqual(await greet(t, postgres, stranger, 'postgres'), 'trusted')

  const authority = new X509Certificate(ca)
  assert.ok(authority.ca && authority.checkIssued(authority) && authority.verify(authority.publicKey))
  const leaf = new X509Certificate(postgres.cert)
  assert.ok(!leaf.ca && leaf.checkIssued(authority))
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.notEqual(leaf.serialNumber, new X509Certificate(redis.cert).serialNumber)
})

test('keys are where only their server reads them, and PostgreSQL accepts the mode of its key', async (t) => {
  const directory = await scratchDir(t)
  await generate(directory)
  const mode = (name: string) => (statSync(join(directory, name)).mode & 0o777).toString(8)
  assert.deepEqual(['postgres/server.key', 'authority/ca.key'].map(mode), ['640', '400'])
  assert.throws(() => statSync(join(directory, 'flatline/ca.key')))
})

test('a new name or a certificate that ends soon makes a new certificate, and nothing else does', async (t) => {
  const directory = await scratchDir(t)
  await generate(directory)
  const postgres = readFileSync(join(directory, 'postgres/server.crt'), 'utf8')
  const hosts = { HTTPS_HOSTS: 'beats.example.org,10.0.0.7' }
  assert.equal(await generate(directory, hosts), 'generated haproxy/default.pem\n')
  assert.equal(await generate(directory, hosts), 'all secrets are there\n')
  const certificate = new X509Certificate(readFileSync(join(directory, 'haproxy/default.pem')))
  assert.match(certificate.subjectAltName ?? '', /DNS:localhost.*DNS:beats\.example\.org, IP Address:10\.0\.0\.7/)
  assert.equal(readFileSync(join(directory, 'postgres/server.crt'), 'utf8'), postgres)

  const { createServer: create, isCurrent } = await import(join(program, '../certificates.mjs'))
  const read = (name: string) => readFileSync(join(directory, name), 'utf8')
  const authority = { key: read('authority/ca.key'), certificate: read('authority/ca.crt') }
  const made = create(authority, ['postgres']).certificate
  assert.ok(isCurrent(made, authority, ['postgres']))
  assert.ok(!isCurrent(made, authority, ['postgres', 'db']))
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse(new X509Certificate(made).validTo) - 364 * 86_400_000 })
  assert.ok(!isCurrent(made, authority, ['postgres']))
})

test('without its authority everything is signed by a new one', async (t) => {
  const directory = await scratchDir(t)
  await generate(directory)
  const secrets = readFileSync(join(directory, 'flatline/encryption-key'), 'utf8')
  await rm(join(directory, 'authority'), { recursive: true })
  const servers = ['postgres/server.crt', 'redis/server.crt', 'haproxy/default.pem']
  assert.equal(await generate(directory), `generated authority/ca.crt, ${servers.join(', ')}\n`)
  for (const name of ['flatline/ca.crt', 'redis/ca.crt']) {
    const authority = new X509Certificate(readFileSync(join(directory, name)))
    for (const server of servers) {
      assert.ok(new X509Certificate(readFileSync(join(directory, server))).verify(authority.publicKey), server)
    }
  }
  assert.equal(readFileSync(join(directory, 'flatline/encryption-key'), 'utf8'), secrets)
})

test('an installation of an older version gets the address of the database with TLS', async (t) => {
  const directory = await scratchDir(t)
  await generate(directory)
  const path = join(directory, 'flatline/database-url')
  const [plain, query] = readFileSync(path, 'utf8').trim().split('?')
  assert.equal(query, 'sslmode=verify-full&sslrootcert=/run/secrets/ca.crt')
  writeFileSync(path, `${plain}\n`)
  assert.equal(await generate(directory), 'set flatline/database-url\n')
  assert.equal(readFileSync(path, 'utf8'), `${plain}?${query}\n`)
  const own = 'postgres://me:secret@db.example.org/flatline'
  assert.equal(await generate(directory, { DATABASE_URL: own }), 'set flatline/database-url\n')
  assert.equal(readFileSync(path, 'utf8'), `${own}\n`)
})
