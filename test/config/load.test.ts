import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { type Config, type ConfigSource, loadConfig, resolveConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/schema.ts'
import { directory, type Env, key, problemsOf, production } from './source.ts'

const read = (env: Env, path: string, source: ConfigSource = {}) =>
  path.split('.').reduce<unknown>((node, part) => (node as Env)[part], loadConfig({ env, ...source }))

test('without any variable the local profile uses the built-in defaults', () => {
  const config = loadConfig({ env: {}, cwd: '/srv' })
  assert.equal(config.environment, 'local')
  assert.equal(config.server.host, '127.0.0.1')
  assert.equal(config.server.dataDir, '/srv/data')
  assert.equal(config.alerting.allowPrivateTargets, true)
  assert.equal(config.database.url, undefined)
  assert.deepEqual(config.server.trustProxy, [])
  assert.deepEqual([config.log.rotateBytes, config.log.rotateKeep], [10 * 2 ** 20, 10])
})

test('every shipped profile loads, and only local listens on the loopback address', () => {
  for (const profile of ['staging', 'production', 'docker']) {
    const config = loadConfig({ env: { ...production, DEPLOYMENT_ENV: profile } })
    assert.equal(config.environment, profile)
    assert.equal(config.server.host, '0.0.0.0')
    assert.equal(config.log.format, 'json')
    assert.equal(config.alerting.allowPrivateTargets, false)
  }
})

test('the profiles differ in what they are for', () => {
  const of = (profile: string) => loadConfig({ env: { ...production, DEPLOYMENT_ENV: profile } })
  const [local, staging, live, docker] = ['local', 'staging', 'production', 'docker'].map(of) as [
    Config,
    Config,
    Config,
    Config,
  ]
  assert.ok(local.spool.maxBytes < docker.spool.maxBytes, 'local shares its disk')
  assert.equal(live.spool.maxBytes, docker.spool.maxBytes)
  assert.ok(staging.database.slowQueryMs < live.database.slowQueryMs, 'slow statements show in staging first')
  assert.ok(live.database.statementTimeoutMs > staging.database.statementTimeoutMs)
  assert.ok(live.alerting.concurrency > staging.alerting.concurrency)
})

test('later layers override earlier ones, and the origin names the layer', (t) => {
  const profileDir = directory(t, { 'local.yaml': 'server:\n  port: 9001\n  drainMs: 7s\n', 'staging.yaml': '' })
  const table: [Env, string, unknown, string][] = [
    [{ DEPLOYMENT_ENV: 'staging', ENCRYPTION_KEY: key }, 'server.port', 8000, 'default'],
    [{}, 'server.port', 9001, '/local.yaml'],
    [{}, 'server.drainMs', 7000, '/local.yaml'],
    [{ PORT: '9002' }, 'server.port', 9002, 'PORT'],
    [{ FLATLINE__SERVER__PORT: '9003' }, 'server.port', 9003, 'FLATLINE__SERVER__PORT'],
    [{ PORT: '' }, 'server.port', 9001, '/local.yaml'],
    [{ PORT: '9004', FLATLINE__SERVER__PORT: '9004' }, 'server.port', 9004, 'PORT'],
  ]
  for (const [env, path, value, origin] of table) {
    assert.equal(read(env, path, { profileDir }), value)
    assert.ok(resolveConfig({ env, profileDir }).origins.get(path)?.endsWith(origin), `${path} from ${origin}`)
  }
})

test('every setting has an origin and can be set by its long variable', () => {
  const { origins } = resolveConfig({ env: {} })
  assert.deepEqual(
    [...origins.keys()],
    settings.map(({ path }) => path),
  )
  for (const { path, variable, schema } of settings) {
    if (schema.default === undefined || Array.isArray(schema.default)) continue
    const text = schema.type === 'object' ? JSON.stringify(schema.default) : String(schema.default)
    assert.equal(resolveConfig({ env: { [variable]: text } }).origins.get(path), variable)
  }
})

test('text is parsed by the type of its setting', () => {
  const table: [string, string, string, unknown][] = [
    ['SHUTDOWN_TIMEOUT_MS', '45000', 'server.shutdownTimeoutMs', 45_000],
    ['SHUTDOWN_TIMEOUT_MS', '30000ms', 'server.shutdownTimeoutMs', 30_000],
    ['SHUTDOWN_TIMEOUT_MS', '45s', 'server.shutdownTimeoutMs', 45_000],
    ['SHUTDOWN_TIMEOUT_MS', '5m', 'server.shutdownTimeoutMs', 300_000],
    ['SHUTDOWN_TIMEOUT_MS', '1h', 'server.shutdownTimeoutMs', 3_600_000],
    ['FLATLINE__ALERTING__RETRY_FOR_MS', '2d', 'alerting.retryForMs', 172_800_000],
    ['ALLOW_PRIVATE_TARGETS', 'no', 'alerting.allowPrivateTargets', false],
    ['ALLOW_EMBEDDED_DATABASE', 'YES', 'database.allowEmbedded', true],
    ['ALLOW_EMBEDDED_DATABASE', '1', 'database.allowEmbedded', true],
    ['LOG_LEVEL', 'WARNING', 'log.level', 'warn'],
    ['LOG_LEVEL', 'CRITICAL', 'log.level', 'fatal'],
    ['LOG_LEVEL', 'Error', 'log.level', 'error'],
    ['PORT', '0', 'server.port', 0],
    ['FLATLINE__LIMITS__MAX_EVENT_LOOP_UTILIZATION', '0.5', 'limits.maxEventLoopUtilization', 0.5],
    ['SITE_URL', 'https://flatline.example.com/', 'server.siteUrl', 'https://flatline.example.com'],
    ['SITE_URL', 'https://example.com/flatline//', 'server.siteUrl', 'https://example.com/flatline'],
    ['DATA_DIR', 'var', 'server.dataDir', '/srv/var'],
    ['DATA_DIR', '/var/lib/flatline', 'server.dataDir', '/var/lib/flatline'],
    ['TRUST_PROXY', 'loopback, 10.0.0.0/8,fd00::/8', 'server.trustProxy', ['loopback', '10.0.0.0/8', 'fd00::/8']],
    ['TRUST_PROXY', '["192.0.2.1"]', 'server.trustProxy', ['192.0.2.1']],
    ['DATABASE_URL', 'postgres://u@/db?host=/run/postgresql', 'database.url', 'postgres://u@/db?host=/run/postgresql'],
  ]
  for (const [name, text, path, value] of table) {
    assert.deepEqual(read({ [name]: text }, path, { cwd: '/srv' }), value, `${name}=${text}`)
  }
})

test('an encryption key is the same in hex and base64, and a list keeps its order', () => {
  const other = Buffer.alloc(32, 7)
  const env = { ENCRYPTION_KEY: `${other.toString('base64')},${key.toUpperCase()}` }
  assert.deepEqual(read(env, 'security.encryptionKey'), [other.toString('hex'), key])
})

test('an unknown FLATLINE_ variable is refused, with the closest one as a suggestion', () => {
  const table: [string, string | undefined][] = [
    ['FLATLINE__SERVER__PROT', 'FLATLINE__SERVER__PORT'],
    ['FLATLINE__PORT', 'FLATLINE__SERVER__PORT'],
    ['FLATLINE__LOG_LEVEL', 'FLATLINE__LOG__LEVEL'],
    ['FLATLINE__server__port', 'FLATLINE__SERVER__PORT'],
    ['FLATLINE__SECURITY__ADMIN_TOKN_FILE', 'FLATLINE__SECURITY__ADMIN_TOKEN_FILE'],
    ['FLATLINE__SERVER__PORT_FILE', undefined],
    ['FLATLINE__SOMETHING__ELSE', undefined],
    ['FLATLINE_LOG_LEVEL', 'FLATLINE__LOG__LEVEL'],
    ['FLATLINE_SERVER_PORT', 'FLATLINE__SERVER__PORT'],
    ['FLATLINE_SMTP_HOST', undefined],
  ]
  for (const [name, meant] of table) {
    const hint = meant ? `; did you mean ${meant}?` : ''
    const [problem, ...more] = problemsOf({ [name]: 'x' })
    assert.ok(problem?.startsWith(`${name}: unknown setting`) && more.length === 0, problem)
    if (meant) assert.ok(problem?.endsWith(hint), problem)
  }
})

test('variables that Kubernetes sets for a service named flatline are ignored', () => {
  const set = {
    FLATLINE_PORT: 'tcp://10.0.0.1:8000',
    FLATLINE_PORT_8000_TCP: 'tcp://10.0.0.1:8000',
    FLATLINE_PORT_8000_TCP_ADDR: '10.0.0.1',
    FLATLINE_PORT_8000_TCP_PORT: '8000',
    FLATLINE_PORT_8000_TCP_PROTO: 'tcp',
    FLATLINE_SERVICE_HOST: '10.0.0.1',
    FLATLINE_SERVICE_PORT: '8000',
    FLATLINE_SERVICE_PORT_HTTP: '8000',
    FLATLINE_REPLICAS_SERVICE_HOST: '10.0.0.2',
  }
  assert.deepEqual(problemsOf(set), [])
})

test('variables of the same .env file that are for Compose are ignored', () => {
  assert.deepEqual(problemsOf({ FLATLINE_ADDRESS: '0.0.0.0', FLATLINE_IMAGE: 'a:b', FLATLINE_REPLICAS: '5' }), [])
})

test('a short and a long variable for the same setting must agree', () => {
  const [problem, ...more] = problemsOf({ PORT: '1', FLATLINE__SERVER__PORT: '2' })
  assert.equal(problem, 'PORT: differs from FLATLINE__SERVER__PORT, which sets the same key; keep one of them')
  assert.equal(more.length, 0)
})

test('a secret is read from a file, and one trailing newline is removed', (t) => {
  const token = 'token-from-a-file-token-from-a-file'
  const cwd = directory(t, { unix: `${token}\n`, windows: `${token}\r\n`, twice: `${token}\n\n`, empty: '\n' })
  for (const name of ['ADMIN_TOKEN', 'FLATLINE__SECURITY__ADMIN_TOKEN']) {
    for (const file of ['unix', 'windows', join(cwd, 'unix')]) {
      assert.equal(read({ [`${name}_FILE`]: file }, 'security.adminToken', { cwd }), token)
    }
  }
  const origin = resolveConfig({ env: { ADMIN_TOKEN_FILE: 'unix' }, cwd }).origins.get('security.adminToken')
  assert.equal(origin, 'ADMIN_TOKEN_FILE')
  for (const file of ['twice', 'empty', 'missing', '.', '/dev/zero']) {
    const problems = problemsOf({ ADMIN_TOKEN_FILE: file }, { cwd })
    assert.equal(problems.length, 1, file)
    assert.ok(problems[0]?.startsWith('ADMIN_TOKEN_FILE: '), problems[0])
  }
  assert.match(
    problemsOf({ ADMIN_TOKEN: token, ADMIN_TOKEN_FILE: 'unix' }, { cwd }).join(),
    /^ADMIN_TOKEN: is set together/,
  )
})

test('the configuration is deeply frozen', () => {
  const config = loadConfig({ env: { TRUST_PROXY: 'loopback' } }) as Config & { server: { port: number } }
  assert.throws(() => Object.assign(config.server, { port: 1 }), TypeError)
  assert.throws(() => (config.server.trustProxy as unknown as string[]).push('10.0.0.1'), TypeError)
  assert.throws(() => Object.assign(config, { extra: 1 }), TypeError)
  assert.deepEqual(loadConfig({ env: {} }).server.trustProxy, [])
})

test('.env.example as it stands gives the defaults', (t) => {
  const lines = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').replace(
    /^#(?=[A-Z][A-Z0-9_]*=)/gm,
    '',
  )
  const env = parseEnv(lines) as Env
  assert.equal(Object.keys(env).length, settings.length)
  const profileDir = join(directory(t), 'none')
  mkdirSync(profileDir)
  writeFileSync(join(profileDir, 'local.yaml'), '')
  assert.deepEqual(loadConfig({ env, profileDir }), loadConfig({ env: {}, profileDir }))
})
