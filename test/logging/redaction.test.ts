// Each kind of secret, logged in each possible way.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Logger, pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { secretAddresses } from '../../src/ingest/dialects/all.ts'
import { loggerOptions } from '../../src/logging/logger.ts'
import { createLineCleaner } from '../../src/logging/redaction.ts'
import { cpuMs, heldMaxMs } from '../cpu.ts'
import { scratchDir } from '../helper.ts'

const config = loadConfig({ env: { LOG_FORMAT: 'json', LOG_LEVEL: 'trace' } })

/** As text, with the part of it that must not appear. */
const secrets: Record<string, [text: string, secret: string]> = {
  'password of a connection string': ['postgres://flatline:hunter2hunter2@db.example.com/x', 'hunter2hunter2'],
  'password of redis': ['rediss://:hunter2redis@cache:6379', 'hunter2redis'],
  'password of smtp': ['smtp://mailer:hunter2smtp@mail.example.com', 'hunter2smtp'],
  'password as text': ['password=hunter2text', 'hunter2text'],
  'API key of ours': ['flw_abcdefghijklmnopqrstuvwxyz01', 'abcdefghijklmnopqrstuvwxyz01'],
  'read-only key of ours': ['flr_abcdefghijklmnopqrstuvwxyz01', 'abcdefghijklmnopqrstuvwxyz01'],
  'API key in a body': ['{"api_key": "0123456789abcdef0123456789abcdef"}', '0123456789abcdef0123456789abcdef'],
  'API key as a header': ['X-Api-Key: 0123456789abcdefGHIJ', '0123456789abcdefGHIJ'],
  'bearer token': ['Authorization: Bearer abc.def-ghi_jkl', 'abc.def-ghi_jkl'],
  'bearer token alone': ['got Bearer abc.def-ghi_jkl', 'abc.def-ghi_jkl'],
  'basic credentials': ['Basic dXNlcjpwYXNzd29yZA==', 'dXNlcjpwYXNzd29yZA'],
  cookie: ['Cookie: session=s3ss10n; other=1', 's3ss10n'],
  'set-cookie': ['Set-Cookie: session=s3ss10n; Path=/', 's3ss10n'],
  'token in a query': ['https://example.com/hook?token=t0k3nt0k3n&x=1', 't0k3nt0k3n'],
  'key in a query': ['https://chat.googleapis.com/v1/spaces/A/messages?key=k3yk3yk3y', 'k3yk3yk3y'],
  'slack webhook': ['https://hooks.slack.com/services/T0001/B0002/XXXXsecretXXXX', 'XXXXsecretXXXX'],
  'discord webhook': ['https://discord.com/api/webhooks/123456/abcdefSECRET', 'abcdefSECRET'],
  'telegram bot': ['https://api.telegram.org/bot123456:ABCsecret/sendMessage', 'ABCsecret'],
  'encryption key': ['ab12'.repeat(16), 'ab12'.repeat(16)],
  'integration key': ['{"routing_key":"R0UT1NGR0UT1NG"}', 'R0UT1NGR0UT1NG'],
  'e-mail address': ['mail to jane.doe@mail.example.org failed', 'jane.doe@mail.example'],
  'push address': ['GET /api/push/pQ4mC1kF7uJ2xS9aZ3rT6wB8nE5vH0dY?status=up', 'pQ4mC1kF7uJ2xS9aZ3rT6wB8nE5vH0dY'],
  'ping key on the bare root': ['GET /abcdefghijklmnopqr0123/nightly', 'abcdefghijklmnopqr0123'],
  'ping key behind a host': ['https://beats.example.org/abcdefghijklmnopqr0123/nightly', 'abcdefghijklmnopqr0123'],
  'scrape address': ['GET /projects/x/metrics/0123456789abcdefghijABCDEFGHIJ_- HTTP/1.1', '0123456789abcdefghij'],
  'address that ends a subscription': ['GET /api/v3/channels/1/unsubscribe/s1gnaturE_-x', 's1gnaturE_-x'],
  'ping address': ['GET /ping/1b4e28ba-2fa1-4bd2-883f-0016d3cca427/start', '4bd2-883f-0016d3cca427'],
}

const ways: Record<string, (log: Logger, text: string) => void> = {
  'a message': (log, text) => log.info(text),
  'a field': (log, text) => log.info({ reason: text }, 'x'),
  'a nested field': (log, text) => log.info({ a: { b: [{ c: text }] } }, 'x'),
  'the message of an error': (log, text) => log.error({ err: new Error(text) }, 'x'),
  'the cause of an error': (log, text) => log.error({ err: new Error('x', { cause: new Error(text) }) }, 'x'),
  'an error alone': (log, text) => log.error(new Error(text)),
  'an error of several': (log, text) => log.error({ err: new AggregateError([new Error(text)], 'x') }, 'x'),
  'the bindings of a child': (log, text) => log.child({ context: text }).info('x'),
  'text within JSON within a message': (log, text) => log.info(`body was ${JSON.stringify({ text })}`),
}

function logged(write: (log: Logger) => void): string {
  const lines: string[] = []
  write(
    pino(loggerOptions(config, { stdoutIsTTY: false, secretAddresses }), { write: (line) => void lines.push(line) }),
  )
  return lines.join('')
}

for (const [kind, [text, secret]] of Object.entries(secrets)) {
  test(`no log line shows a secret: ${kind}`, () => {
    for (const [way, write] of Object.entries(ways)) {
      const line = logged((log) => write(log, text))
      assert.ok(!line.includes(secret), `${way}: ${line}`)
      assert.doesNotThrow(() => JSON.parse(line), `${way}: still JSON: ${line}`)
    }
  })
}

test('fields with the name of a secret are redacted whatever they contain', () => {
  for (const name of [
    'password',
    'db_password',
    'token',
    'secret',
    'apiKey',
    'api_key',
    'authorization',
    'cookie',
    'credentials',
  ]) {
    const line = logged((log) => log.info({ deep: { [name]: 'pl4nt3d' } }, 'x'))
    assert.ok(!line.includes('pl4nt3d'), line)
  }
  const headers = {
    authorization: 'x-pl4nt3d',
    cookie: 'x-pl4nt3d',
    'x-api-key': 'x-pl4nt3d',
    'set-cookie': ['x-pl4nt3d'],
  }
  for (const line of [
    logged((log) => log.info({ headers }, 'x')),
    logged((log) => log.info({ req: { headers } }, 'x')),
  ]) {
    assert.ok(!line.includes('pl4nt3d'), line)
  }
})

test('the longest possible lines are redacted quickly', async () => {
  const clean = createLineCleaner(config, secretAddresses)
  const pieces = [
    'a-',
    '\\',
    '"',
    'password',
    'password=',
    'x_token',
    '"token',
    '"token":',
    'token\\',
    '"secret"    ',
    'key',
    'api_key-',
    '://',
    '://a',
    '/',
    '//',
    'authorization: ',
    'cookie:',
    'Bearer ',
    'Basic    ',
    'flw_',
    'a',
    '0',
    'f'.repeat(63),
    '/unsubscribe/',
    '/ping/',
    '/api/push/',
    '/metrics/',
    ':/',
    "'/",
    'hooks.slack.com/',
    '-0000',
    '-0000-4000-8000',
    'a@',
    '@a',
    'a@a.',
    'a.',
    '.a@',
    ' ',
    '\t',
    'é',
    '😀',
  ]
  for (const piece of pieces) {
    const lines = [16, 64].map((kb) => ` ${piece.repeat(Math.ceil((kb * 1024) / piece.length))}`)
    for (const line of [...lines, ...lines.map((text) => `"${text}`), ...lines.map((text) => `${text}"`)]) {
      const took = await cpuMs(() => clean(line))
      assert.ok(took < heldMaxMs, `${line.length} of ${JSON.stringify(piece)} took ${took} ms`)
    }
  }
})

test('an error that quotes megabytes is cut and logged quickly', async () => {
  const error = new Error('a-'.repeat(1_000_000), { cause: new Error('"\\'.repeat(1_000_000)) })
  let line = ''
  const took = await cpuMs(() => {
    line = logged((log) => log.error({ err: error }, 'x'))
  })
  assert.ok(took < heldMaxMs && line.length < 100_000, `${took} ms, ${line.length}`)
})

test('an e-mail address keeps its first letter and its last part; what people need to read stays', () => {
  const clean = createLineCleaner(config, secretAddresses)
  assert.equal(clean('mail to jane.doe@mail.example.org failed'), 'mail to j***@***.org failed')
  const plain = [
    '{"event":"auth.failure","reason":"wrong_token","ip":"203.0.113.7"}',
    '{"event":"delivery.sent","requestId":"7a0b6f4a9c1e-42","attempt":1}',
    'at file:///app/node_modules/fastify/lib/route.js:10:5 (fastify@5.12.8)',
    '{"requestId":"4bf92f3577b34da6a3ce929d0e0e4736"}',
    '{"event":"breaker.state_changed","breaker":"webhook:0123456789ab","from":"closed","to":"open"}',
    'https://example.com/path?page=2',
  ]
  for (const line of plain) assert.equal(clean(line), line)
})

test('a real app does not log the contents of a request, however malformed it is', async (t) => {
  const lines: string[] = []
  const write = process.stdout.write
  const app = await buildApp({
    config: loadConfig({ env: { LOG_FORMAT: 'json', LOG_LEVEL: 'trace', DATA_DIR: await scratchDir(t) } }),
  })
  t.after(() => app.close())
  process.stdout.write = ((chunk: string) => lines.push(chunk) > 0) as typeof process.stdout.write
  const stream = Reflect.get(app.log, pino.symbols.streamSym) as { write: (line: string) => void }
  stream.write = (line: string) => void lines.push(line)
  try {
    const headers = {
      'x-api-key': 'pl4nt3dkeypl4nt3dkeypl4nt3dkey12',
      authorization: 'Bearer pl4nt3d-token',
      cookie: 's=pl4nt3d-cookie',
    }
    for (const url of [
      '/nowhere/pl4nt3dpl4nt3dpl4nt3d?token=pl4nt3d',
      '/api/v3/deliveries/?limit=pl4nt3d',
      '/%zz?key=pl4nt3d',
    ])
      await app.inject({ url, headers })
    await app.inject({ method: 'POST', url: '/api/v3/channels/', headers, payload: '{"secret": "pl4nt3d", broken' })
  } finally {
    process.stdout.write = write
  }
  assert.ok(lines.length >= 3, 'something was logged')
  assert.doesNotMatch(lines.join(''), /pl4nt3d/)
})
