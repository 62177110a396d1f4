import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../src/config/load.ts'
import { rules } from '../../src/config/rules.ts'
import { settings } from '../../src/config/schema.ts'
import { directory, type Env, key, problemsOf, production } from './source.ts'

test('an unreadable value is refused, with the name of its variable first', () => {
  const refused: [string, string[]][] = [
    ['PORT', ['80a', '-1', '65536', '1.5', ' 80', '0x50']],
    ['DRAIN_MS', ['5 s', '-5s', '1.5s', '99999999999', '30d']],
    ['ALLOW_PRIVATE_TARGETS', ['on', 'y', '2', 'tru']],
    ['FLATLINE__LIMITS__MAX_EVENT_LOOP_UTILIZATION', ['1.1', 'NaN', '50%']],
    ['LOG_LEVEL', ['loud', 'toString']],
    ['LOG_FORMAT', ['xml']],
    ['HOST', ['two words', 'http://localhost']],
    ['SITE_URL', ['flatline.example.com', 'ftp://example.com', 'https://u:p@example.com', 'https://example.com/?a=b']],
    [
      'TRUST_PROXY',
      ['true', '1', '10.0.0.0/33', '10.0.0.0/0', '10.0.0.0/8/8', 'proxy.example.com', 'loopback,,', '[1]', '['],
    ],
    ['DATABASE_URL', ['mysql://u:p@h/db', 'localhost:5432', 'postgres://u:p%@h/db', 'postgres://u:p/w@h:x/db']],
    ['ADMIN_TOKEN', ['short', `${'a'.repeat(40)} `, `${'a'.repeat(40)}\n`, 'ü'.repeat(40)]],
    ['ENCRYPTION_KEY', ['x', key.slice(1), `${key},`, `${key},${key}`, Buffer.alloc(31).toString('base64')]],
    ['METRICS_TOKEN', ['two words']],
    ['BOOTSTRAP_API_KEY', ['a'.repeat(31), 'a'.repeat(33), `${'a'.repeat(31)}!`]],
    ['BOOTSTRAP_API_KEY_READONLY', ['a'.repeat(31)]],
    ['BOOTSTRAP_PING_KEY', ['a'.repeat(21), 'a'.repeat(32)]],
    ['DEPLOYMENT_ENV', ['prod']],
    ['ALLOWED_TARGETS', ['example.org', '10.0.0.0/33']],
    ['SMTP_RELAY_PORT', ['0', '65536']],
    ['SMTP_RELAY_SECURITY', ['ssl']],
  ]
  for (const [name, texts] of refused) {
    for (const text of texts) {
      const problems = problemsOf({ [name]: text })
      assert.equal(problems.length, 1, `${name}=${text}: ${problems}`)
      assert.ok(problems[0]?.startsWith(`${name}: `), problems[0])
    }
  }
})

test('an error within a setting of several parts names its place', () => {
  const table: [string, RegExp][] = [
    ['{"webhook": {"recovery": 5}}', /^CIRCUIT_BREAKER_OVERRIDES: webhook\.recovery is not a known field$/],
    ['{"webhook": {"recoveryMs": "soon"}}', /^CIRCUIT_BREAKER_OVERRIDES: .*webhook\.recoveryMs must be integer$/],
    ['{"webhook": {"failureThreshold": 0}}', /^CIRCUIT_BREAKER_OVERRIDES: .*webhook\.failureThreshold must be >= 1$/],
    ['{"webhook": 5}', /^CIRCUIT_BREAKER_OVERRIDES: .*webhook must be object$/],
    ['[]', /^CIRCUIT_BREAKER_OVERRIDES: .*must be object$/],
    ['{"webhook"', /^CIRCUIT_BREAKER_OVERRIDES: must be JSON$/],
  ]
  for (const [CIRCUIT_BREAKER_OVERRIDES, expected] of table) {
    const problems = problemsOf({ CIRCUIT_BREAKER_OVERRIDES })
    assert.equal(problems.length, 1, String(problems))
    assert.match(problems[0] ?? '', expected)
  }
})

test('settings that contradict each other are refused under the name that was set', () => {
  const table: [Env, string][] = [
    [{ SHUTDOWN_TIMEOUT_MS: '5s' }, 'SHUTDOWN_TIMEOUT_MS'],
    [{ DRAIN_MS: '30s' }, 'DRAIN_MS'],
    [{ PING_BODY_LIMIT: '1000000', FLATLINE__INGEST__QUEUE_MAX_BYTES: '1000000' }, 'FLATLINE__INGEST__QUEUE_MAX_BYTES'],
    [{ FLATLINE__INGEST__BATCH_MAX: '20001' }, 'FLATLINE__INGEST__BATCH_MAX'],
    [{ FLATLINE__LIMITS__MAIL_HELD_MAX_BYTES: '1000000' }, 'FLATLINE__LIMITS__MAIL_HELD_MAX_BYTES'],
    [{ FLATLINE__QUOTAS__CHECKS_MAX: '1' }, 'FLATLINE__QUOTAS__CHECKS_MAX'],
    [{ FLATLINE__QUOTAS__CHANNELS_MAX: '1' }, 'FLATLINE__QUOTAS__CHANNELS_MAX'],
    [{ FLATLINE__QUOTAS__NEW_CHECKS_PER_HOUR_MAX: '1' }, 'FLATLINE__QUOTAS__NEW_CHECKS_PER_HOUR_MAX'],
    [{ FLATLINE__QUOTAS__BODY_BYTES_MAX: '1' }, 'FLATLINE__QUOTAS__BODY_BYTES_MAX'],
    [{ FLATLINE__QUOTAS__BODY_BYTES_PER_CHECK_MAX: '1' }, 'FLATLINE__QUOTAS__BODY_BYTES_PER_CHECK_MAX'],
    [{ FLATLINE__QUOTAS__SPOOL_SHARE_MAX: '0.1' }, 'FLATLINE__QUOTAS__SPOOL_SHARE_MAX'],
    [{ FLATLINE__DETECTOR__BLIND_AFTER_MS: '999' }, 'FLATLINE__DETECTOR__BLIND_AFTER_MS'],
    [{ FLATLINE__ALERTING__RETRY_MAX_MS: '4s' }, 'FLATLINE__ALERTING__RETRY_MAX_MS'],
    [{ FLATLINE__RETENTION__FLIPS_DAYS: '89' }, 'FLATLINE__RETENTION__FLIPS_DAYS'],
    [{ LOG_DESTINATION: 'both' }, 'LOG_DESTINATION'],
    [{ ADMIN_TOKEN_PREVIOUS: 'p'.repeat(32) }, 'ADMIN_TOKEN_PREVIOUS'],
    [{ METRICS_TOKEN_PREVIOUS: 'previous' }, 'METRICS_TOKEN_PREVIOUS'],
    [{ SMTP_RELAY_HOST: 'mail.example.org' }, 'SMTP_RELAY_HOST'],
    [{ SMTP_RELAY_FROM: 'alerts@example.org' }, 'SMTP_RELAY_FROM'],
    [{ SMTP_RELAY_USER: 'me' }, 'SMTP_RELAY_USER'],
    [{ SMTP_RELAY_USER: 'me', SMTP_RELAY_PASSWORD: 'pw', SMTP_RELAY_SECURITY: 'none' }, 'SMTP_RELAY_SECURITY'],
  ]
  for (const [env, name] of table) {
    const problems = problemsOf(env)
    assert.equal(problems.length, 1, String(problems))
    assert.ok(problems[0]?.startsWith(`${name}: `), problems[0])
  }
})

test('production refuses each missing requirement, and accepts the stated exceptions', () => {
  const without = (...names: string[]) =>
    Object.fromEntries(Object.entries(production).filter(([name]) => !names.includes(name)))
  assert.deepEqual(problemsOf(production), [])
  for (const name of ['DATABASE_URL', 'ENCRYPTION_KEY', 'ADMIN_TOKEN']) {
    assert.match(problemsOf(without(name)).join(), new RegExp(`^${name}: is required`))
  }
  for (const limit of ['LIMITS__CALLS_PER_MINUTE', 'LIMITS__AUTH_FAILURES_PER_MINUTE', 'ADMIN__CALLS_PER_MINUTE']) {
    const name = `FLATLINE__${limit}`
    assert.match(problemsOf({ ...production, [name]: '0' }).join(), new RegExp(`^${name}: must not be 0`))
    assert.deepEqual(problemsOf({ ...production, DEPLOYMENT_ENV: 'staging', [name]: '0' }), [])
  }
  for (const token of [
    'x'.repeat(32),
    'change-me-change-me-change-me-change-me',
    'your-admin-token-goes-here-1234567890',
  ])
    assert.deepEqual(problemsOf({ ...production, ADMIN_TOKEN: token }), [
      'ADMIN_TOKEN: must not be a placeholder in production',
    ])
  const zeros = { ...production, ENCRYPTION_KEY: '0'.repeat(64) }
  assert.deepEqual(problemsOf(zeros), ['ENCRYPTION_KEY: must not be a placeholder in production'])
  assert.deepEqual(problemsOf({ ...without('DATABASE_URL'), ALLOW_EMBEDDED_DATABASE: 'true' }), [])
  const plain = 'postgres://flatline:pw@db.example.com/flatline'
  for (const url of [
    plain,
    `${plain}?sslmode=prefer`,
    `${plain}?sslmode=require&sslmode=disable`,
    'postgres://localhost/db?host=10.0.0.1',
  ]) {
    assert.match(problemsOf({ ...production, DATABASE_URL: url }).join(), /^DATABASE_URL: must ask for TLS/)
    assert.deepEqual(problemsOf({ ...production, DATABASE_URL: url, DATABASE_ALLOW_PLAINTEXT: 'true' }), [])
  }
  for (const url of [
    'postgres://localhost/db',
    'postgres://[::1]:5432/db',
    'postgres://u@/db?host=/run/postgresql',
    `${plain}?sslmode=require`,
  ]) {
    assert.deepEqual(problemsOf({ ...production, DATABASE_URL: url }), [], url)
  }
})

test('staging and docker need an encryption key, local does not', () => {
  for (const profile of ['staging', 'docker']) {
    assert.deepEqual(problemsOf({ DEPLOYMENT_ENV: profile }), ['ENCRYPTION_KEY: is required outside the local profile'])
  }
  assert.deepEqual(problemsOf({ DEPLOYMENT_ENV: 'local' }), [])
})

test('a bucket needs its key', () => {
  const bucket = { BACKUP_S3_BUCKET: 'flatline', BACKUP_S3_ACCESS_KEY_ID: 'an id' }
  assert.match(problemsOf(bucket).join('\n'), /^BACKUP_S3_ACCESS_KEY_ID: must be an access key without spaces$/)
  assert.deepEqual(problemsOf({ ...bucket, BACKUP_S3_ACCESS_KEY_ID: 'id1' }), [
    'BACKUP_S3_BUCKET: BACKUP_S3_BUCKET needs BACKUP_S3_ACCESS_KEY_ID and BACKUP_S3_SECRET_ACCESS_KEY',
  ])
})

test('the tests above break every rule', () => {
  assert.equal(rules.length, 30, 'add the new rule to the tables above')
})

test('two secrets with the same value are refused, in whatever notation', () => {
  const api = 'k'.repeat(32)
  assert.deepEqual(problemsOf({ BOOTSTRAP_API_KEY: api, BOOTSTRAP_API_KEY_READONLY: api }), [
    'BOOTSTRAP_API_KEY_READONLY: has the same value as BOOTSTRAP_API_KEY; no two secrets may',
  ])
  const base64 = Buffer.from(key, 'hex').toString('base64')
  assert.equal(problemsOf({ ADMIN_TOKEN: base64, ENCRYPTION_KEY: key }).length, 1)
})

test('all mistakes are reported at once', (t) => {
  const profileDir = directory(t, { 'production.yaml': 'server:\n  prot: 1\nlog:\n  level: loud\n' })
  const env = {
    DEPLOYMENT_ENV: 'production',
    PORT: 'x',
    DRAIN_MS: '1h',
    FLATLINE__SERVER__HOTS: 'a',
    FLATLINE__PORT: '1',
    METRICS_TOKEN: 'a b',
    ADMIN_TOKEN_FILE: '/nowhere',
  }
  const names = problemsOf(env, { profileDir }).map((problem) => problem.split(/[:;] /)[0])
  const file = `${profileDir.split('/').at(-1)}/production.yaml`
  const expected = [
    'PORT',
    'METRICS_TOKEN',
    'ADMIN_TOKEN_FILE',
    'FLATLINE__SERVER__HOTS',
    'FLATLINE__PORT',
    file,
    file,
    'DRAIN_MS',
    'ENCRYPTION_KEY',
    'DATABASE_URL',
  ]
  assert.deepEqual(names.sort(), expected.sort())
})

test('a wrong profile name does not hide the other mistakes', () => {
  const names = problemsOf({ DEPLOYMENT_ENV: 'prod', PORT: 'x' }).map((problem) => problem.split(':')[0])
  assert.deepEqual(names, ['DEPLOYMENT_ENV', 'PORT'])
})

test('a message never quotes the value of a secret', (t) => {
  const planted = 'planted secret\u0001'
  const secrets = settings.filter(({ secret }) => secret)
  for (const { name, variable } of secrets) {
    for (const env of [{ [name]: planted }, { [`${name}_FILE`]: planted }, { [name]: planted, [variable]: 'other' }]) {
      const text = problemsOf(env).join('\n')
      assert.ok(text.includes(name) && !text.includes('planted'), text)
    }
  }
  const yaml = secrets
    .map(({ path }) => `  ${path.split('.')[1]}: planted secret`)
    .slice(1)
    .join('\n')
  const broken = directory(t, { 'local.yaml': `security:\n${yaml}\n  adminToken: planted\n` })
  const wrong = directory(t, { 'local.yaml': `security:\n${yaml}\n` })
  for (const profileDir of [broken, wrong]) {
    const text = problemsOf({}, { profileDir }).join('\n')
    assert.ok(text.length > 0 && !text.includes('planted'), text)
  }
  const error = new ConfigError(problemsOf({ SITE_URL: 'https://u:planted@example.com' }))
  assert.ok(!error.stack?.includes('planted'))
})

test('a profile file is parsed as strictly as the environment', (t) => {
  const table: [string, RegExp][] = [
    ['server: {port: x}', /local\.yaml: server\.port: "x" must be an integer$/],
    ['server: {port: {a: 1}}', /local\.yaml: server\.port: must be integer$/],
    ['server: {prot: 1}', /local\.yaml: server\.prot is an unknown setting; did you mean server\.port\?$/],
    ['servers: {port: 1}', /local\.yaml: servers is an unknown setting/],
    ['server: 1', /local\.yaml: server must be a mapping$/],
    ['- server', /local\.yaml must be a mapping$/],
    ['environment: production', /local\.yaml: environment cannot be set in a profile/],
    ['server: {port: 1', /local\.yaml: is not valid YAML at line 1/],
    ['server: {port: 1, port: 2}', /local\.yaml: is not valid YAML at line 1 \(DUPLICATE_KEY\)$/],
  ]
  for (const [text, expected] of table) {
    const problems = problemsOf({}, { profileDir: directory(t, { 'local.yaml': text }) })
    assert.equal(problems.length, 1, text)
    assert.match(problems[0]!, expected)
  }
  const endless = directory(t, { 'local.yaml': `# ${'x'.repeat(2 ** 20)}` })
  assert.match(problemsOf({}, { profileDir: endless }).join(), /local\.yaml: is longer than 1024 KB$/)
  assert.match(problemsOf({}, { profileDir: directory(t) }).join(), /local\.yaml: cannot be read \(ENOENT\)$/)
  assert.deepEqual(problemsOf({}, { profileDir: directory(t, { 'local.yaml': 'server:\n  port:\n' }) }), [])
})
