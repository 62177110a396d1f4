// docker-compose.yml as Compose itself understands it, for each profile. test/deployment/compose/compose-up.test.ts brings it up.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { settings } from '../../../src/config/schema.ts'
import { scratchDir } from '../../helper.ts'
import { needsTool } from '../../tools.ts'
import { run } from '../containers.ts'

type Service = {
  image: string
  command?: string[] | null
  user?: string
  read_only?: boolean
  cap_drop?: string[]
  cap_add?: string[]
  privileged?: boolean
  network_mode?: string
  security_opt?: string[]
  restart?: string
  container_name?: string
  stop_grace_period?: string
  environment?: Record<string, string>
  ports?: { host_ip?: string; published: string; target: number }[]
  expose?: string[]
  volumes?: { type: string; source: string; target: string; read_only?: boolean }[]
  networks?: Record<string, unknown>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: Record<string, unknown>
  logging?: unknown
  deploy: { replicas?: number; resources: { limits: Record<string, unknown>; reservations?: Record<string, unknown> } }
}
type Project = { services: Record<string, Service>; networks: Record<string, { internal?: boolean }>; volumes: object }

const root = new URL('../../..', import.meta.url).pathname
const file = join(root, 'docker-compose.yml')
const skip = needsTool('docker-compose')
const always = ['alertmanager', 'flatline', 'grafana', 'haproxy', 'postgres', 'prometheus', 'secrets']

test('without a profile Compose starts the whole installation; a profile adds one service', {
  skip,
}, async () => {
  assert.deepEqual(Object.keys((await project()).services).sort(), always)
  assert.deepEqual(Object.keys((await project(['scale'])).services).sort(), [...always, 'redis'].sort())
  assert.deepEqual(Object.keys((await project(['development'])).services).sort(), [...always, 'development'].sort())
  assert.deepEqual(Object.keys((await project(['logs'])).services).sort(), [...always, 'vector'].sort())
})

test('the service has the documented resources, probe and replicas', { skip }, async () => {
  const { flatline } = (await project()).services
  assert.deepEqual(flatline?.deploy, {
    replicas: 3,
    resources: {
      limits: { cpus: 1, memory: String(2 ** 30), pids: 200 },
      reservations: { cpus: 0.5, memory: String(512 * 2 ** 20) },
    },
    placement: {},
  })
  assert.deepEqual(flatline?.healthcheck, {
    test: ['CMD', 'node', 'dist/cli.js', 'healthcheck'],
    interval: '10s',
    timeout: '3s',
    start_period: '40s',
    retries: 3,
  })
})

test('each replica knows how many there should be', { skip }, async () => {
  for (const [env, replicas, expected] of [
    [{}, 3, '3'],
    [{ FLATLINE_REPLICAS: '1' }, 1, '1'],
    [{ FLATLINE_REPLICAS: '3', FLATLINE__HEALTH__REPLICAS_EXPECTED: '2' }, 3, '2'],
  ] as const) {
    const { flatline } = (await project([], env)).services
    assert.deepEqual(
      [flatline?.deploy.replicas, flatline?.environment?.FLATLINE__HEALTH__REPLICAS_EXPECTED],
      [replicas, expected],
    )
  }
})

test('the service can be scaled, because it has no fixed name or port', { skip }, async () => {
  const { flatline } = (await project()).services
  assert.equal(flatline?.container_name, undefined)
  assert.equal(flatline?.ports, undefined)
  assert.deepEqual(flatline?.expose, ['8000'])
})

test('only the load balancer is reachable, and from other machines only if configured', { skip }, async () => {
  const { services } = await project()
  assert.deepEqual(
    Object.keys(services).filter((name) => services[name]?.ports),
    ['haproxy'],
  )
  const doors = (ports: Service['ports'] = []) =>
    ports.map((port) => `${port.host_ip}:${port.published}>${port.target}`)
  assert.deepEqual(doors(services.haproxy?.ports), [
    '127.0.0.1:8000>8000',
    '127.0.0.1:8443>8443',
    '127.0.0.1:3000>3000',
    '127.0.0.1:9090>9090',
    '127.0.0.1:9093>9093',
  ])
  const open = (await project([], { FLATLINE_ADDRESS: '0.0.0.0', FLATLINE_PORT: '80' })).services
  assert.deepEqual(doors(open.haproxy?.ports).slice(0, 2), ['0.0.0.0:80>8000', '0.0.0.0:8443>8443'])
  const secure = await project([], { FLATLINE_TLS_ADDRESS: '0.0.0.0', FLATLINE_TLS_PORT: '443' })
  assert.deepEqual(doors(secure.services.haproxy?.ports).slice(0, 2), ['127.0.0.1:8000>8000', '0.0.0.0:443>8443'])
  assert.equal(open.flatline?.environment?.SITE_URL, 'http://localhost:80')
})

test('every container is confined, limited, checked and stopped in time, and its log is bounded', {
  skip,
}, async () => {
  const { services } = await project(['scale', 'logs'])
  const labels = 'com.docker.compose.project,com.docker.compose.service'
  const logging = { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3', labels } }
  for (const [name, service] of Object.entries(services)) {
    assert.equal(service.read_only, true, name)
    assert.deepEqual(service.cap_drop, ['ALL'], name)
    assert.deepEqual([service.cap_add, service.privileged], [undefined, undefined], name)
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name)
    assert.deepEqual(service.logging, logging, name)
    assert.equal(service.stop_grace_period, '45s', name)
    assert.ok(service.deploy.resources.limits.cpus && service.deploy.resources.limits.memory, name)
    if (name === 'secrets') continue
    assert.equal(service.restart, 'unless-stopped', name)
    assert.ok(Array.isArray(service.healthcheck?.test), name)
    assert.ok(service.deploy.resources.reservations?.memory, name)
  }
})

test('only the service reaches the database', { skip }, async () => {
  const { services, networks } = await project()
  const on = (network: string) =>
    Object.keys(services).filter((name) => services[name]?.networks?.[network] !== undefined)
  assert.deepEqual(on('database').sort(), ['flatline', 'postgres'])
  assert.equal(networks.database?.internal, true)
  assert.equal(networks.monitoring?.internal, true)
  assert.equal(services.secrets?.network_mode, 'none')
  assert.deepEqual(services.flatline?.depends_on?.postgres?.condition, 'service_healthy')
  assert.deepEqual(services.flatline?.depends_on?.secrets?.condition, 'service_completed_successfully')
})

test('secrets are files in volumes that no other container mounts, and no setting contains one', { skip }, async () => {
  const { services } = await project(['scale', 'development', 'logs'])
  for (const [name, { volumes = [] }] of Object.entries(services)) {
    const mounted = volumes.filter(({ source }) => source.endsWith('-secrets'))
    if (name === 'secrets') continue
    assert.ok(
      mounted.every(({ read_only }) => read_only),
      name,
    )
    const own = name === 'development' ? 'flatline' : name
    assert.deepEqual(
      mounted.filter(({ source }) => source !== `${own}-secrets`),
      [],
      name,
    )
  }
  const settings = Object.values(services).flatMap(({ environment = {} }) => Object.entries(environment))
  const secret = settings.filter(([name]) => /PASSWORD|TOKEN|KEY$|KEY_|DATABASE_URL/.test(name) && name !== 'KEY_GROUP')
  assert.ok(secret.length >= 8)
  // An empty variable keeps the one of .env away: the file has its value.
  for (const [name, value] of secret) assert.match(`${name} ${value}`, /(_FILE \/run\/secrets\/[\w-]+| )$/)
})

test('every setting in the file exists, and generated secrets are valid', {
  skip,
}, async (t) => {
  const { environment = {} } = (await project()).services.flatline ?? {}
  const known = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]))
  assert.deepEqual(
    Object.keys(environment).filter((name) => !known.includes(name)),
    ['NODE_EXTRA_CA_CERTS'],
  )
  const directory = await scratchDir(t)
  const generate = () => run(process.execPath, [join(root, 'compose/secrets.mjs'), 'generate', directory])
  assert.match(await generate(), /^generated postgres\/password, /)
  const here = Object.entries(environment).map(([name, value]) => [
    name,
    value.replace('/run/secrets', join(directory, 'flatline')),
  ])
  const { database, security } = loadConfig({ env: Object.fromEntries(here) })
  assert.match(
    database.url ?? '',
    /^postgres:\/\/flatline:\w{40}@postgres:5432\/flatline\?sslmode=verify-full&sslrootcert=\/run\/secrets\/ca\.crt$/,
  )
  assert.match(security.bootstrapApiKey ?? '', /^flw_/)
  assert.equal(await generate(), 'all secrets are there\n')
  assert.deepEqual(loadConfig({ env: Object.fromEntries(here) }).security, security)
})

test('a file .env beside docker-compose.yml sets any setting, and its secrets go to the files', { skip }, async (t) => {
  const directory = await scratchDir(t)
  const here = join(directory, 'docker-compose.yml')
  writeFileSync(here, readFileSync(file, 'utf8'))
  const token = 'a'.repeat(40)
  const lines = {
    ADMIN_TOKEN: token,
    INGEST_MODE: 'consistent',
    SMTP_RELAY_HOST: 'mail.example.org',
    SMTP_RELAY_FROM: 'flatline@example.org',
    SERVICE_ALERT_CHANNELS: 'b1f7b7c0-58f9-4c5b-b5cf-0d7a1b3c5e7f',
    SITE_URL: 'https://beats.example.org',
    FLATLINE__DATABASE__POOL_MAX: '7',
    FLATLINE_REPLICAS: '2',
    PORT: '9000',
    HOST: '127.0.0.1',
  }
  const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(directory, '.env'), text.join(''))
  const { flatline, secrets } = JSON.parse(await run('docker-compose', ['-f', here, 'config', '--format', 'json']))
    .services as Project['services']
  const { environment = {} } = flatline ?? {}
  const { ADMIN_TOKEN, PORT, HOST, ...passed } = lines
  for (const [name, value] of Object.entries(passed)) assert.equal(environment[name], value, name)
  assert.deepEqual([environment.ADMIN_TOKEN, environment.PORT, environment.HOST], ['', '8000', '0.0.0.0'])
  assert.equal(flatline?.deploy.replicas, 2)

  const kept = join(directory, 'secrets')
  const generate = (env = {}) => run(process.execPath, [join(root, 'compose/secrets.mjs'), 'generate', kept], { env })
  assert.match(await generate(secrets?.environment), /^set flatline\/admin-token\ngenerated postgres\/password, /)
  assert.equal(readFileSync(join(kept, 'flatline/admin-token'), 'utf8'), `${token}\n`)
  assert.equal(await generate(secrets?.environment), 'all secrets are there\n')
  assert.equal(await generate(), 'all secrets are there\n')
  assert.equal(await generate({ ADMIN_TOKEN: 'b'.repeat(40) }), 'set flatline/admin-token\n')
  const files = Object.entries(environment).map(([name, value]) => [
    name,
    value.replace('/run/secrets', join(kept, 'flatline')),
  ])
  const { security, ingest } = loadConfig({ env: Object.fromEntries(files) })
  assert.equal(security.adminToken, 'b'.repeat(40))
  assert.equal(ingest.mode, 'consistent')
})

test('the service accepts the variables that docker-compose.yml reads from .env', () => {
  const names = [...readFileSync(file, 'utf8').matchAll(/\$\{(FLATLINE_\w+)/g)].map(([, name = '']) => name)
  assert.ok(names.includes('FLATLINE_TLS_PORT'))
  for (const name of names) assert.ok(loadConfig({ env: { [name]: '5' } }), name)
})

test('the networks of a swarm are encrypted, and stay closed', { skip }, async () => {
  const swarm = join(root, 'compose/swarm.yml')
  const { networks } = JSON.parse(await run('docker-compose', ['-f', file, '-f', swarm, 'config', '--format', 'json']))
  const encrypted = { driver: 'overlay', driver_opts: { encrypted: 'true' } }
  for (const name of ['front', 'database', 'monitoring']) {
    const { driver, driver_opts, internal } = networks[name]
    assert.deepEqual({ driver, driver_opts }, encrypted, name)
    assert.equal(internal === true, name !== 'front', name)
  }
})

test('all data is in named volumes', { skip }, async () => {
  const { services, volumes } = await project(['scale'])
  const kept = {
    postgres: '/var/lib/postgresql',
    prometheus: '/prometheus',
    alertmanager: '/alertmanager',
    redis: '/data',
  }
  for (const [name, target] of Object.entries({ ...kept, flatline: '/data', grafana: '/var/lib/grafana' })) {
    const volume = services[name]?.volumes?.find((one) => one.target === target)
    assert.equal(volume?.type, 'volume', name)
    assert.ok(volume.source in volumes, name)
  }
  assert.deepEqual(services.redis?.command?.slice(0, 3), ['redis-server', '--appendonly', 'yes'])
})

test('external images have exact versions, and the image of the service is built or named', {
  skip,
}, async () => {
  const { services } = await project(['scale', 'logs'])
  const others = Object.values(services)
    .map(({ image }) => image)
    .filter((image) => !image.startsWith('flatline:'))
  assert.equal(others.length, 7)
  for (const image of others) assert.match(image, /^[\w/-]+:v?\d+\.\d+(\.\d+)?(-\w+)?$/)
  const named = await project([], { FLATLINE_IMAGE: 'ghcr.io/flatline/flatline:1.2.3' })
  assert.equal(named.services.flatline?.image, 'ghcr.io/flatline/flatline:1.2.3')
})

test('every file that Compose mounts from the checkout exists', { skip }, async () => {
  const { services } = await project(['logs'])
  const sources = Object.values(services).flatMap(({ volumes = [] }) => volumes.filter(({ type }) => type === 'bind'))
  const own = sources.map(({ source }) => source).filter((source) => source.startsWith(join(root, 'compose')))
  assert.deepEqual(own.map((path) => path.slice(root.length)).sort(), [
    'compose/certificates.mjs',
    'compose/haproxy.cfg',
    'compose/pg_hba.conf',
    'compose/secrets.mjs',
    'compose/vector',
  ])
  for (const path of own) assert.ok(statSync(path).size > 0)
})

test('Compose refuses misspelt keys instead of ignoring them', { skip }, async (t) => {
  const text = readFileSync(file, 'utf8')
  for (const [good, bad] of [
    ['read_only: true', 'readonly: true'],
    ['interval: 10s', 'interval: 10 secs'],
    ['networks: [front, database, monitoring]', 'networks: [frontend, database, monitoring]'],
    ['- pgdata:/var', '- pgdat:/var'],
  ] as const) {
    const path = join(await scratchDir(t), 'docker-compose.yml')
    assert.ok(text.includes(good))
    writeFileSync(path, text.replaceAll(good, bad))
    assert.notEqual(spawnSync('docker-compose', ['-f', path, 'config', '-q']).status, 0, bad)
  }
})

test('HAProxy accepts the configuration of the load balancer', { skip: needsTool('haproxy') }, async (t) => {
  const directory = await scratchDir(t)
  await run(process.execPath, [join(root, 'compose/secrets.mjs'), 'generate', directory])
  const path = join(directory, 'haproxy.cfg')
  const text = readFileSync(join(root, 'compose/haproxy.cfg'), 'utf8')
  assert.ok(text.includes(' crt /run/secrets/ '))
  writeFileSync(path, text.replace('/run/secrets/', `${directory}/haproxy/`))
  await run('haproxy', ['-c', '-f', path])
})

test('the profile for logs ships by setting, from files that Vector may only read', { skip }, async () => {
  const { vector } = (await project(['logs'])).services
  const mounted = (vector?.volumes ?? []).filter(({ type }) => type === 'bind')
  assert.deepEqual(
    mounted.map(({ target, read_only }) => [target, read_only]),
    [
      ['/etc/vector', true],
      ['/var/lib/docker/containers', true],
    ],
  )
  for (const destination of ['console', 'loki', 'cloudwatch', 'http']) {
    const chosen = (await project(['logs'], { LOG_SHIP_TO: destination })).services.vector
    const files = (chosen?.command ?? []).filter((word) => word.startsWith('/'))
    assert.deepEqual(files, ['/etc/vector/containers.yaml', `/etc/vector/to-${destination}.yaml`])
    for (const path of files) assert.ok(statSync(join(root, 'compose/vector', basename(path))).isFile())
  }
})

async function project(profiles: string[] = [], env: Record<string, string> = {}): Promise<Project> {
  const chosen = profiles.flatMap((profile) => ['--profile', profile])
  const text = await run('docker-compose', ['-f', file, ...chosen, 'config', '--format', 'json'], { env })
  return JSON.parse(text) as Project
}
