import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import Fastify from 'fastify'
import { type Logger, pino } from 'pino'
import { loadConfig, version } from '../../src/config/load.ts'
import { secretAddresses } from '../../src/ingest/dialects/all.ts'
import { loggerOptions } from '../../src/logging/logger.ts'
import { createPrettyFormat } from '../../src/logging/pretty.ts'

const check = '1b4e28ba-2fa1-4bd2-883f-0016d3cca427'
const pingKey = 'pingkeypingkeypingkey1'
const secrets = {
  ADMIN_TOKEN: 'planted-admin-token-planted-admin-token',
  ENCRYPTION_KEY: '5e'.repeat(32),
  METRICS_TOKEN: 'planted-metrics-token',
  BOOTSTRAP_API_KEY: 'plantedapikeyplantedapikeyplante',
  DATABASE_URL: 'postgres://flatline:planted-db-pw@db.example.com/flatline',
}
const config = loadConfig({ env: { LOG_FORMAT: 'json', LOG_LEVEL: 'trace', ...secrets } })
const forbidden = [
  check,
  pingKey,
  'planted',
  secrets.ENCRYPTION_KEY,
  Buffer.from(secrets.ENCRYPTION_KEY, 'hex').toString('base64'),
]

function recorded() {
  const lines: string[] = []
  return { lines, stream: { write: (line: string) => void lines.push(line) } }
}

function logged(write: (log: Logger) => void) {
  const { lines, stream } = recorded()
  write(pino(loggerOptions(config, { stdoutIsTTY: false, secretAddresses }), stream))
  return { text: lines.join(''), entries: lines.map((line) => JSON.parse(line)) }
}

function assertClean(text: string) {
  for (const secret of forbidden) assert.ok(!text.includes(secret), `${secret} in ${text}`)
}

test('a log line has the level as a word, an ISO time, the service and its version', () => {
  const [line] = logged((log) => log.warn('hello')).entries
  assert.deepEqual(
    { ...line, time: undefined },
    { level: 'warn', time: undefined, service: 'flatline', version, msg: 'hello' },
  )
  assert.equal(new Date(line.time).toISOString(), line.time)
})

test('format auto is pretty only on a terminal, and an explicit format ignores the terminal', () => {
  const pretty = (format: string, stdoutIsTTY: boolean) =>
    loggerOptions(loadConfig({ env: { LOG_FORMAT: format } }), { stdoutIsTTY, secretAddresses }).transport !== undefined
  assert.equal(pretty('auto', true), true)
  assert.equal(pretty('auto', false), false)
  assert.equal(pretty('json', true), false)
  assert.equal(pretty('pretty', false), true)
})

test('LOG_DESTINATION selects standard output, files or both, and LOG_FORMAT what a terminal shows', () => {
  const written = (env: Record<string, string>, stdoutIsTTY = false) => {
    const { transport } = loggerOptions(loadConfig({ env }), { stdoutIsTTY, secretAddresses })
    const { stdout, file, errorFile } = (transport?.options ?? {}) as Record<string, string | undefined>
    return transport ? [stdout, file, errorFile] : 'stdout'
  }
  const LOG_FILE = '/l/f.log'
  const files = [LOG_FILE, '/l/f.error.log']
  assert.equal(written({}), 'stdout')
  assert.equal(written({ LOG_DESTINATION: 'stdout', LOG_FILE }), 'stdout')
  assert.deepEqual(written({ LOG_DESTINATION: 'stdout', LOG_FILE, LOG_ERROR_FILE: '/e' }), ['json', undefined, '/e'])
  assert.deepEqual(written({ LOG_FILE }), ['none', ...files])
  assert.deepEqual(written({ LOG_DESTINATION: 'file', LOG_FILE }, true), ['none', ...files])
  assert.deepEqual(written({ LOG_DESTINATION: 'both', LOG_FILE }), ['json', ...files])
  assert.deepEqual(written({ LOG_DESTINATION: 'both', LOG_FILE }, true), ['pretty', ...files])
  assert.deepEqual(written({ LOG_DESTINATION: 'both', LOG_FILE, LOG_FORMAT: 'json' }, true), ['json', ...files])
  for (const LOG_DESTINATION of ['file', 'both'])
    assert.throws(() => loadConfig({ env: { LOG_DESTINATION } }), /LOG_DESTINATION=file or both needs LOG_FILE/)
})

test('the readable text has one entry per line and leaves out the service and its version', async () => {
  const format = await createPrettyFormat()
  const { text } = logged((log) => {
    log.info('first')
    log.warn({ durationMs: 7 }, 'second')
  })
  const readable = stripVTControlCharacters(format(text))
  assert.match(readable, /^\[[\d:.]+\] INFO: first\n\[[\d:.]+\] WARN: second\n {4}durationMs: 7\n$/)
})

test('a request is logged by its route pattern, without its credentials', async () => {
  const { lines, stream } = recorded()
  const app = Fastify({ logger: { ...loggerOptions(config, { stdoutIsTTY: false, secretAddresses }), stream } })
  app.all('/ping/:uuid', async (_request, reply) => reply.header('set-cookie', 'planted=1').send('OK'))
  app.get('/fails/:uuid', async (request) => {
    throw new Error(`could not reach https://u:planted@example.com${request.url}`)
  })
  const headers = {
    authorization: `Bearer ${secrets.ADMIN_TOKEN}`,
    'x-api-key': secrets.BOOTSTRAP_API_KEY,
    cookie: 'session=planted',
  }
  for (const url of [
    `/ping/${check}?token=planted`,
    `/fails/${check}?api_key=planted`,
    `/pings/${check}`,
    `/ping/${pingKey}/nightly?key=planted`,
    `/ping/%zz${check}`,
  ]) {
    await app.inject({ url, headers })
  }
  await app.close()
  const text = lines.join('')
  assert.match(text, /"url":"\/ping\/:uuid"/)
  assert.match(text, /"statusCode":200/)
  assertClean(text)
})

test('headers are redacted wherever they are usually logged', () => {
  const headers = { authorization: 'planted', 'x-api-key': 'planted', cookie: 'planted', 'set-cookie': ['planted'] }
  const { text } = logged((log) => {
    log.info({ headers })
    log.child({}, { serializers: { req: (it) => it, res: (it) => it } }).info({ req: { headers }, res: { headers } })
  })
  assertClean(text)
  assert.equal(text.match(/\[redacted\]/g)?.length, 12)
})

test('the configuration can be logged without its secrets and is not changed', () => {
  const { text, entries } = logged((log) => log.info({ config }))
  assertClean(text)
  assert.equal(entries[0].config.security.adminToken, '[redacted]')
  assert.equal(entries[0].config.server.port, 8000)
  assert.equal(config.security.adminToken, secrets.ADMIN_TOKEN)
})

test('a secret inside a message or a field with another name is removed', () => {
  const { text } = logged((log) => {
    log.info(`connecting to ${secrets.DATABASE_URL}`)
    log.info({ settings: { ...secrets } }, 'started')
    log.info({ key: Buffer.from(secrets.ENCRYPTION_KEY, 'hex').toString('base64') })
    log.info(`GET http://127.0.0.1:8000/ping/${pingKey}/nightly`)
    log.info({ check }, 'went down')
  })
  assertClean(text)
  assert.match(text, /1b4e28ba-\*\*\*/)
})

test('the id of a heartbeat is not a credential and stays readable', () => {
  assert.match(
    logged((log) => log.info('0193d2c4-5f3a-7abc-8def-0123456789ab')).text,
    /0193d2c4-5f3a-7abc-8def-0123456789ab/,
  )
})

test('an error is logged with type, code, stack and cause, without attached properties', () => {
  const inner = Object.assign(new TypeError('bad row'), { detail: 'planted', code: '23505', input: 'planted' })
  const error = Object.assign(new Error('write failed', { cause: inner }), {
    statusCode: 503,
    rawPacket: Buffer.from('Authorization: planted'),
    config: { headers: { 'x-api-key': 'planted' } },
  })
  const { text, entries } = logged((log) => log.error({ err: error }, 'failed'))
  assertClean(text)
  const { err } = entries[0]
  assert.deepEqual(Object.keys(err), ['type', 'message', 'statusCode', 'stack', 'cause'])
  assert.equal(err.cause.type, 'TypeError')
  assert.equal(err.cause.code, '23505')
})

test('an error that is its own cause, a group of errors and a thrown string are all logged', () => {
  const loop = new Error('loop')
  loop.cause = loop
  const group = new AggregateError([new Error('first'), 'second'], 'both failed')
  const { entries } = logged((log) => {
    log.error(loop)
    log.error({ err: group })
    log.error({ err: 'just text' })
  })
  assert.equal(entries.length, 3)
  assert.deepEqual(
    entries[1].err.errors.map(({ message }: { message: string }) => message),
    ['first', 'second'],
  )
  assert.equal(entries[2].err.message, 'just text')
})
