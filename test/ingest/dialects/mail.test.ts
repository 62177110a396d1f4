// Heartbeats by e-mail over SMTP: https://healthchecks.io/docs/email/. A real client library sends; a plain socket
// sends what the library refuses to send.

import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { listen } from '../../fake-destination.ts'
import { createFaultProxy } from '../../fault-proxy.ts'
import { call, eventually, keys } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, spawnService, startService } from '../../scenarios/service.ts'

type Mailing = { service: Service; port: number; databaseUrl: string }
type Check = { uuid: string; [field: string]: unknown }

async function start(t: TestContext, env: Record<string, string> = {}): Promise<Mailing> {
  const databaseUrl = env.DATABASE_URL ?? (await createDatabase(t))
  const service = await startService(t, { env: { SMTP_PORT: '0', ...env, DATABASE_URL: databaseUrl } })
  const { port } = await service.event('mail.listening')
  return { service, port: Number(port), databaseUrl }
}

async function createCheck({ service }: Mailing, fields: object = {}): Promise<Check> {
  return (await call(service.url, 'POST', '/api/v3/checks/', fields)).json() as Check
}

/** The text of the server's answer, be it a refusal. */
async function send({ port }: Mailing, mail: SendMailOptions): Promise<string> {
  const transport = createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true })
  try {
    return (await transport.sendMail({ from: 'cron@example.org', subject: 'report', text: 'done', ...mail })).response
  } catch (error) {
    return String((error as { response?: string }).response)
  } finally {
    transport.close()
  }
}

async function kindsOf({ databaseUrl }: Mailing, uuid: string): Promise<string[]> {
  const rows = await sql<{ kind: string }>(databaseUrl, 'SELECT kind FROM heartbeats WHERE check_id = $1 ORDER BY n', [
    uuid,
  ])
  return rows.map(({ kind }) => kind)
}

/** A client that sends the lines of the test. */
async function dial(t: TestContext, port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  let heard = ''
  socket.setEncoding('utf8').on('data', (chunk) => (heard += chunk))
  socket.on('error', () => undefined)
  return {
    socket,
    heard: () => heard,
    /** Says something and waits for the answer; nothing waits for the greeting. */
    async says(line: string, answer: RegExp) {
      const before = line === '' ? 0 : heard.length
      if (line !== '') socket.write(`${line}\r\n`)
      await eventually(`${answer} after ${line}, heard ${heard}`, () => answer.test(heard.slice(before)))
    },
  }
}

test('a message to a check is a success and is stored whole, with its sender', async (t) => {
  const mailing = await start(t)
  const { uuid } = await createCheck(mailing)
  const named = await createCheck(mailing, { slug: 'night-ly_1' })
  assert.equal(await send(mailing, { to: `${uuid}@flatline.example`, text: 'line one\n.line two\n' }), '250 OK')
  assert.equal(await send(mailing, { to: `${uuid.toUpperCase()}@elsewhere.example` }), '250 OK')
  assert.equal(await send(mailing, { to: `${keys.ping_key}+night-ly_1@flatline.example` }), '250 OK')
  assert.equal(await send(mailing, { to: [`${uuid}@a.example`, `${named.uuid}@b.example`] }), '250 OK')
  assert.deepEqual(
    [await kindsOf(mailing, uuid), await kindsOf(mailing, named.uuid)],
    [
      ['success', 'success', 'success'],
      ['success', 'success'],
    ],
  )

  const answer = await call(mailing.service.url, 'GET', `/api/v3/checks/${uuid}/pings/`)
  const [, , first] = answer.json().pings as Record<string, unknown>[]
  const { type, scheme, method, ua, remote_addr: address, rid, body_url: bodyUrl } = first ?? {}
  assert.deepEqual([type, scheme, method, ua, rid], ['success', 'email', '', 'Email from cron@example.org', null])
  assert.match(String(address), /^(::ffff:)?127\.0\.0\.1$/)
  const body = (await call(mailing.service.url, 'GET', new URL(String(bodyUrl)).pathname)).text
  assert.match(body, /^From: cron@example\.org\r\n[\s\S]*Subject: report\r\n[\s\S]*\r\n\r\nline one\r\n\.line two\r\n/)
})

test('malformed recipients are refused, and unknown checks are not', async (t) => {
  const mailing = await start(t, { PING_EMAIL_DOMAIN: 'ping.example.org' })
  const { uuid } = await createCheck(mailing, { slug: 'job' })
  const rows: [to: string, answer: string][] = [
    [`${uuid}@ping.example.org`, '250 OK'],
    [`${uuid}@PING.example.ORG`, '250 OK'],
    [`${keys.ping_key}+job@ping.example.org`, '250 OK'],
    [`${crypto.randomUUID()}@ping.example.org`, '250 OK'],
    [`${keys.ping_key}+none@ping.example.org`, '250 OK'],
    [`nobody-s-ping-key-0000+job@ping.example.org`, '250 OK'],
    [`${uuid}@example.org`, '550 5.1.1 Recipient rejected'],
    [`x@example.org`, '550 5.1.1 Recipient rejected'],
    [`postmaster@ping.example.org`, '550 5.1.1 Invalid mailbox'],
    [`${uuid.replaceAll('-', '')}@ping.example.org`, '550 5.1.1 Invalid mailbox'],
    [`${uuid}+job@ping.example.org`, '550 5.1.1 Invalid mailbox'],
    [`${keys.ping_key}@ping.example.org`, '550 5.1.1 Invalid mailbox'],
    [`${keys.ping_key}+Job@ping.example.org`, '550 5.1.1 Invalid mailbox'],
    [`${keys.ping_key}0+job@ping.example.org`, '550 5.1.1 Invalid mailbox'],
  ]
  for (const [to, answer] of rows) assert.equal(await send(mailing, { to }), answer, to)
  assert.deepEqual(await kindsOf(mailing, uuid), ['success', 'success', 'success'])
  const undeliverable = mailing.service.lines().filter(({ event }) => event === 'mail.undeliverable')
  assert.equal(undeliverable.length, 3)
  assert.ok(
    !mailing.service.output().includes(uuid) && !mailing.service.output().includes(keys.ping_key),
    'no credential is logged',
  )
  const checks = (await call(mailing.service.url, 'GET', '/api/v3/checks/')).json().checks as unknown[]
  assert.equal(checks.length, 1, 'no auto-provisioning')
})

test('keywords in subject and body decide the kind of a message', async (t) => {
  const mailing = await start(t)
  const words = { failure_kw: 'ERROR, kaputt', success_kw: 'success, fertig für heute', start_kw: 'begin' }
  const bySubject = { ...words, filter_subject: true }
  const byBody = { ...words, filter_body: true }
  const bySeen = { failure_kw: '1 job failed', success_kw: 'job', filter_body: true }
  const rows: [name: string, settings: object, mail: SendMailOptions, kind: string][] = [
    ['no filter', words, { subject: 'ERROR', text: 'ERROR' }, 'success'],
    ['subject', bySubject, { subject: 'job: success' }, 'success'],
    ['failure before success', bySubject, { subject: 'success, but ERROR' }, 'fail'],
    ['start', bySubject, { subject: 'begin' }, 'start'],
    ['letter case', bySubject, { subject: 'error' }, 'ign'],
    ['an encoded subject', bySubject, { subject: 'Backup fertig für heute' }, 'success'],
    ['the body is not looked at', bySubject, { subject: 'x', text: 'ERROR' }, 'ign'],
    ['the subject is not looked at', byBody, { subject: 'ERROR', text: 'all success' }, 'success'],
    ['a long body', byBody, { text: `${'all is well\n'.repeat(20_000)}ERROR` }, 'fail'],
    ['quoted-printable', byBody, { text: 'fertig für heute', textEncoding: 'quoted-printable' }, 'success'],
    ['base64', byBody, { text: 'fertig für heute', textEncoding: 'base64' }, 'success'],
    ['HTML alone', byBody, { text: undefined, html: '<p>fertig f&uuml;r <b>heu</b>te</p>' }, 'success'],
    ['HTML in lines', bySeen, { text: undefined, html: '<p>1 job finished, 1\n   job failed</p>' }, 'fail'],
    ['HTML that does not break', bySeen, { text: undefined, html: '1&nbsp;job f&#97;i&shy;led' }, 'fail'],
    ['HTML in cells', bySeen, { text: undefined, html: '<td>1</td>\n<td>job</td><td>failed</td>' }, 'fail'],
    [
      'HTML that is hidden',
      bySeen,
      { text: undefined, html: '<i style="display:none">1 job failed</i>job' },
      'success',
    ],
    ['text in lines', bySeen, { text: '1\n  job\tfailed' }, 'fail'],
    ['a subject in lines', { ...bySeen, filter_subject: true }, { subject: `${'x'.repeat(70)} 1 job failed` }, 'fail'],
    ['HTML beside text', byBody, { text: 'x', html: '<p>kaputt</p>' }, 'fail'],
    [
      'what HTML does not show',
      byBody,
      { text: 'success', html: '<style>.ERROR{}</style><p class="ERROR">success</p>' },
      'success',
    ],
    ['an attachment', byBody, { text: 'x', attachments: [{ filename: 'log.txt', content: 'ERROR' }] }, 'ign'],
    ['both', { ...words, filter_subject: true, filter_body: true }, { subject: 'x', text: 'kaputt' }, 'fail'],
    ['default fail', { ...bySubject, filter_default_fail: true }, { subject: 'x' }, 'fail'],
    [
      'filters for requests',
      { methods: 'POST', filter_http_body: true, failure_kw: 'ERROR' },
      { text: 'ERROR' },
      'success',
    ],
  ]
  for (const [name, settings, mail, kind] of rows) {
    const { uuid } = await createCheck(mailing, settings)
    assert.equal(await send(mailing, { to: `${uuid}@localhost`, ...mail }), '250 OK', name)
    assert.deepEqual(await kindsOf(mailing, uuid), [kind], name)
  }
  const { uuid } = await createCheck(mailing, { manual_resume: true })
  await call(mailing.service.url, 'POST', `/api/v3/checks/${uuid}/pause`)
  await send(mailing, { to: `${uuid}@localhost` })
  assert.deepEqual(await kindsOf(mailing, uuid), ['ign'], 'paused, to be resumed by its owner')
})

test('a message over the body limit is cut, and one over the size limit is refused', async (t) => {
  const mailing = await start(t, {
    FLATLINE__INGEST__MAIL_LIMIT_BYTES: '2000',
    FLATLINE__LIMITS__MAIL_MAX_BYTES: '100000',
  })
  const { uuid } = await createCheck(mailing, { slug: 'job' })
  assert.equal(await send(mailing, { to: `${uuid}@localhost`, text: 'x'.repeat(50_000) }), '250 OK')
  const body = (await call(mailing.service.url, 'GET', `/api/v3/checks/${uuid}/pings/1/body`)).text
  assert.equal(body.length, 2000)
  assert.match(await send(mailing, { to: `${uuid}@localhost`, text: 'x'.repeat(200_000) }), /^552 /)
  const client = await dial(t, mailing.port)
  await client.says('', /^220 /)
  await client.says('EHLO x', /SIZE 100000/)
  await client.says('MAIL FROM:<a@b.c> SIZE=100001', /^552 /)
  assert.deepEqual(await kindsOf(mailing, uuid), ['success'])
})

test('whatever a client sends, its message is recorded once and whole, or not at all', async (t) => {
  const mailing = await start(t)
  const { uuid } = await createCheck(mailing)
  const open = async () => {
    const client = await dial(t, mailing.port)
    await client.says('', /^220 /)
    await client.says('HELO x', /^250 /)
    return client
  }
  const sent = async (message: string) => {
    const client = await open()
    await client.says('MAIL FROM:<>', /^250 /)
    await client.says(`RCPT TO:<${uuid}@x>`, /^250 /)
    await client.says('DATA', /^354 /)
    await client.says(`${message}\r\n.`, /^250 OK\r\n$/)
  }
  for (const message of [
    '',
    '\0\x01\xff',
    'no header',
    'Subject: =?utf-8?Q?=FF=FE?=\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--',
    `X: ${'y'.repeat(20_000)}`,
    'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n'.repeat(2000),
  ])
    await sent(message)
  assert.equal((await kindsOf(mailing, uuid)).length, 6)
  const gone = await open()
  await gone.says('MAIL FROM:<a@b.c>', /^250 /)
  await gone.says(`RCPT TO:<${uuid}@x>`, /^250 /)
  await gone.says('DATA', /^354 /)
  gone.socket.write('Subject: half a mess')
  gone.socket.destroy()
  const refused = await open()
  for (const command of ['AUTH PLAIN AGEAYg==', 'STARTTLS', 'VRFY x', 'DATA', 'bogus'])
    await refused.says(command, /^[45]\d\d |^252 /)
  await sent('Subject: last')
  assert.equal((await kindsOf(mailing, uuid)).length, 7)
})

test('one message is one heartbeat of a check, in whatever spelling its recipients are', async (t) => {
  const mailing = await start(t)
  const { uuid } = await createCheck(mailing, { slug: 'job' })
  const other = await createCheck(mailing)
  const spelled = Array.from({ length: 40 }, (_, i) => {
    const capitals = [...uuid].map((letter, at) => ((i >> (at % 6)) & 1 ? letter.toUpperCase() : letter)).join('')
    return `${capitals}@host-${i}.example`
  })
  const to = [
    ...spelled,
    `${keys.ping_key}+job@localhost`,
    `${keys.ping_key}+job@[127.0.0.1]`,
    `${other.uuid}@localhost`,
  ]
  assert.equal(await send(mailing, { to }), '250 OK')
  assert.deepEqual([await kindsOf(mailing, uuid), await kindsOf(mailing, other.uuid)], [['success'], ['success']])
})

/** Sends a message line by line; nothing is escaped, and each answer has to be the one that is named. */
async function converse(t: TestContext, { port }: Mailing, lines: [line: string, answer: RegExp][]): Promise<void> {
  const client = await dial(t, port)
  await client.says('', /^220 /)
  for (const [line, answer] of lines) await client.says(line, answer)
  client.socket.end()
}

test('the service accepts every envelope that Postfix accepts', async (t) => {
  const mailing = await start(t, { PING_EMAIL_DOMAIN: 'ping.example.org' })
  const { uuid } = await createCheck(mailing)
  const senders = [
    '<>',
    '<a@b.c>',
    ' <a@b.c>',
    'a@b.c',
    'root',
    '<root>',
    '"Cron" <a@b.c>',
    '<user.@b.c>',
    '<a@b.c> SIZE=9',
  ]
  for (const sender of senders) {
    await converse(t, mailing, [
      [`mail from:${sender}`, /^250 /],
      [`RCPT TO: <${uuid}>`, /^250 /],
      [`RCPT TO:<@relay.example:${uuid}@PING.example.org.>`, /^250 /],
      [`RCPT TO:"${uuid}"@ping.example.org`, /^250 /],
      [`RCPT TO:<${uuid}@example.org>`, /^550 5\.1\.1 Recipient rejected/],
      ['DATA', /^354 /],
      ['x\r\n.', /^250 OK/],
    ])
  }
  assert.equal((await kindsOf(mailing, uuid)).length, senders.length)
})

test('mail to the lower-case form of a ping key with capitals finds its project', async (t) => {
  const pingKey = 'AbCdEfGhIjKlMnOpQr-_12'
  const mailing = await start(t, { BOOTSTRAP_PING_KEY: pingKey })
  const { uuid } = await createCheck(mailing, { slug: 'job' })
  for (const written of [pingKey, pingKey.toLowerCase(), pingKey.toUpperCase()])
    assert.equal(await send(mailing, { to: `${written}+job@localhost` }), '250 OK')
  assert.equal((await kindsOf(mailing, uuid)).length, 3)
  const address = `${mailing.service.url}/ping/${pingKey.toLowerCase()}/job`
  assert.equal((await fetch(address)).status, 404, 'over HTTP the case matters')
})

test('a slow message is refused temporarily if memory runs out', async (t) => {
  const mailing = await start(t, {
    FLATLINE__INGEST__MAIL_LIMIT_BYTES: '100000',
    FLATLINE__LIMITS__MAIL_HELD_MAX_BYTES: '150000',
  })
  const { uuid } = await createCheck(mailing)
  const busy = await dial(t, mailing.port)
  await busy.says('', /^220 /)
  await busy.says('HELO x', /^250 /)
  await busy.says('MAIL FROM:<>', /^250 /)
  await busy.says(`RCPT TO:<${uuid}@x>`, /^250 /)
  await busy.says('DATA', /^354 /)
  busy.socket.write(`${'x'.repeat(78)}\r\n`.repeat(2000))
  for (let i = 0; i < 5; i++)
    assert.equal(await send(mailing, { to: `${uuid}@localhost`, text: 'y'.repeat(80_000) }), '250 OK')
  const nobodys = { to: `${crypto.randomUUID()}@localhost`, text: 'y'.repeat(80_000) }
  assert.equal(await send(mailing, nobodys), '250 OK', 'of what is for nobody nothing is held')
  await busy.says('.', /^452 4\.3\.1 /)
  assert.equal(await send(mailing, { to: `${uuid}@localhost`, text: 'y'.repeat(80_000) }), '250 OK')
})

test('an alert about a message quotes its text, not its encoding', async (t) => {
  const heard = new Map<string, string>()
  const far = await listen(t, async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    heard.set(String(request.url), Buffer.concat(chunks).toString())
    response.end()
  })
  const mailing = await start(t)
  const { uuid } = await createCheck(mailing, { filter_body: true, failure_kw: '1 job failed' })
  const settings = { url_down: `${far}/own`, method_down: 'POST', body_down: '$BODY' }
  for (const [name, how] of Object.entries({ ours: { url: `${far}/ours` }, own: settings }))
    await call(mailing.service.url, 'POST', '/api/v3/channels/', { kind: 'webhook', name, settings: how, checks: '*' })
  const html = '<p>F\u00fcr heute: 1\n job&nbsp;failed</p>'
  await send(mailing, { to: `${uuid}@x`, subject: 'N\u00e4chtlich', text: undefined, html, textEncoding: 'base64' })
  await eventually('both alerts', () => heard.size === 2)
  const expected = 'N\u00e4chtlich\n\nF\u00fcr heute: 1 job failed'
  assert.equal(heard.get('/own'), expected)
  assert.equal(JSON.parse(heard.get('/ours') ?? '').last_ping.output, expected)
  const raw = (await call(mailing.service.url, 'GET', `/api/v3/checks/${uuid}/pings/1/body`)).text
  assert.match(raw, /=\?UTF-8\?/i, 'the history keeps it as it came')
})

test('many simultaneous messages are all counted', async (t) => {
  const mailing = await start(t, { FLATLINE__LIMITS__MAIL_CONNECTIONS_MAX: '200' })
  const { uuid } = await createCheck(mailing, { slug: 'job' })
  const to = [`${uuid}@localhost`, `${keys.ping_key}+job@localhost`]
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => send(mailing, { to: to[i % 2] })))
  assert.deepEqual([...new Set(answers)], ['250 OK'])
  assert.equal((await kindsOf(mailing, uuid)).length, 60)
})

test('the ping limit of a check refuses a message permanently', async (t) => {
  const mailing = await start(t)
  const { uuid } = await createCheck(mailing, { max_pings_per_minute: 1 })
  assert.equal(await send(mailing, { to: `${uuid}@localhost` }), '250 OK')
  assert.equal(await send(mailing, { to: `${uuid}@localhost` }), '550 5.7.1 Rate limit exceeded')
  assert.deepEqual(await kindsOf(mailing, uuid), ['success'])
})

test('without a spool, a message is refused temporarily while the database is unavailable', async (t) => {
  const proxy = await createFaultProxy(t, await createDatabase(t))
  const mailing = await start(t, { DATABASE_URL: proxy.url, INGEST_MODE: 'consistent' })
  const { uuid } = await createCheck(mailing)
  await proxy.set('refuse')
  assert.match(await send(mailing, { to: `${uuid}@localhost` }), /^451 /)
  assert.match(await send(mailing, { to: `${keys.ping_key}+job@localhost` }), /^451 /)
  await proxy.set('pass')
  await eventually(
    'a message to be taken again',
    async () => (await send(mailing, { to: `${uuid}@localhost` })) === '250 OK',
  )
})

test('connections are limited, and one network has at most half of them', async (t) => {
  const mailing = await start(t, { FLATLINE__LIMITS__MAIL_CONNECTIONS_MAX: '4' })
  const clients = [await dial(t, mailing.port), await dial(t, mailing.port)]
  for (const client of clients) await client.says('', /^220 /)
  const third = await dial(t, mailing.port)
  await third.says('', /^421 4\.7\.0 /)
  clients[0]?.socket.destroy()
  await eventually('a place to be free', async () => {
    const next = await dial(t, mailing.port)
    await eventually('a greeting', () => next.heard() !== '')
    next.socket.destroy()
    return next.heard().startsWith('220 ')
  })
})

test('a shutdown lets a message finish, closes the idle connections, and exits 0', async (t) => {
  const mailing = await start(t)
  const { uuid } = await createCheck(mailing)
  const idle = await dial(t, mailing.port)
  await idle.says('', /^220 /)
  const busy = await dial(t, mailing.port)
  await busy.says('', /^220 /)
  await busy.says('HELO x', /^250 /)
  await busy.says('MAIL FROM:<a@b.c>', /^250 /)
  await busy.says(`RCPT TO:<${uuid}@x>`, /^250 /)
  await busy.says('DATA', /^354 /)
  busy.socket.write('Subject: x\r\n\r\nfirst half\r\n')
  const exited = mailing.service.stop()
  await mailing.service.event('shutdown.closed')
  await busy.says('second half\r\n.', /^250 OK\r\n/)
  assert.equal(await exited, 0)
  assert.match(idle.heard(), /421 4\.3\.2 Shutting down/)
  assert.deepEqual(await kindsOf(mailing, uuid), ['success'])
})

test('an SMTP_PORT in use stops the start with one line that names it', async (t) => {
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
  t.after(() => squatter.close())
  const { port } = squatter.address() as AddressInfo
  const service = await spawnService(t, { SMTP_PORT: String(port), DATABASE_URL: await createDatabase(t) })
  assert.equal(await service.exited, 1)
  assert.match(service.output(), new RegExp(`port ${port} on 127.0.0.1 is taken: set SMTP_PORT to another one`))
})

test('messages are refused temporarily before the service is ready; without SMTP_PORT nothing listens', async (t) => {
  const service = await startService(t, {
    ready: false,
    env: { SMTP_PORT: '0', DATABASE_URL: 'postgres://x@127.0.0.1:9/x' },
  })
  const { port } = await service.event('mail.listening')
  const client = await dial(t, Number(port))
  await client.says('', /^421 4\.3\.2 Not ready/)
  await service.stop()
  const silent = await startService(t, { env: { DATABASE_URL: await createDatabase(t) } })
  assert.deepEqual(
    silent.lines().filter(({ event }) => event === 'mail.listening'),
    [],
  )
})
