import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { email } from '../../../src/channels/transports/email.ts'
import { createSmtp, type SmtpRelay } from '../../../src/channels/wire/smtp.ts'
import { DeliveryError } from '../../../src/channels/wire/transport.ts'
import { pause } from '../../patience.ts'
import { changed, contextWith, down, hostile, huge, incident, notice, up } from './contract.ts'

type Received = { from: string; to: string[]; raw: string }

/** A mail server that keeps what it gets. */
async function mailServer(t: TestContext, options: SMTPServerOptions = {}) {
  const received: Received[] = []
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString(),
        })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => undefined)
  const listening = server.listen(0, '127.0.0.1')
  await new Promise<void>((resolve) => listening.once('listening', resolve))
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const { port } = listening.address() as { port: number }
  const relay: SmtpRelay = {
    host: '127.0.0.1',
    port,
    security: 'none',
    from: 'Flatline <alerts@example.org>',
    login: undefined,
  }
  return { relay, received }
}

const to = 'ops@example.net'
const contextFor = (relay: SmtpRelay, timeoutMs = 20_000) =>
  contextWith({ timeoutMs, capabilities: { smtp: createSmtp(relay), shell: false } })

const unsubscribe = 'https://flatline.example/api/v3/channels/1/unsubscribe/abc'

/** Headers, unfolded, and the parts of a mail by their type, decoded. */
function parse(raw: string): { headers: Record<string, string>; parts: Record<string, string> } {
  const [head = '', ...rest] = raw.split('\r\n\r\n')
  const headers = Object.fromEntries(
    head
      .replace(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const body = rest.join('\r\n\r\n')
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')?.[1]
  if (boundary === undefined)
    return { headers, parts: { [(headers['content-type'] ?? '').split(';')[0] as string]: decode(headers, body) } }
  const pieces = body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((piece) => parse(piece.slice(2)))
  return { headers, parts: Object.assign({}, ...pieces.map(({ parts }) => parts)) }
}

function decode(headers: Record<string, string>, body: string): string {
  const encoding = headers['content-transfer-encoding']
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString()
  if (encoding !== 'quoted-printable') return body
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}

async function mailed(t: TestContext, message: Parameters<typeof email.send>[0]) {
  const { relay, received } = await mailServer(t)
  const links = { ...message.links, unsubscribe }
  assert.equal(await email.send({ ...message, links }, { to }, contextFor(relay)), 'sent')
  assert.equal(received.length, 1)
  return { ...(received[0] as Received), ...parse(received[0]?.raw ?? '') }
}

suite('email', () => {
  test('email: an outage is an automatic mail in plain text and HTML with an unsubscribe link', async (t) => {
    const { from, to: recipients, headers, parts } = await mailed(t, down)
    assert.deepEqual([from, recipients], ['alerts@example.org', [to]])
    assert.equal(headers.from, 'Flatline <alerts@example.org>')
    assert.equal(headers.to, to)
    assert.equal(headers.subject, 'nightly backup is down')
    assert.equal(headers['list-unsubscribe'], `<${unsubscribe}>`)
    assert.equal(headers['list-unsubscribe-post'], 'List-Unsubscribe=One-Click')
    assert.equal(headers['auto-submitted'], 'auto-generated')
    assert.equal(headers['message-id'], `<${down.delivery.id}@example.org>`)
    assert.match(
      parts['text/plain'] ?? '',
      /^nightly backup is down\r?\nThe job ended with exit status 3\.\r?\n\r?\nDown since: 2026/,
    )
    assert.match(parts['text/plain'] ?? '', /copying…\r?\ndisk full/)
    assert.match(parts['text/plain'] ?? '', /Unsubscribe: https:\/\/flatline\.example/)
    assert.match(parts['text/html'] ?? '', /<h2[^>]*#a30200[^>]*>nightly backup is down<\/h2>/)
    assert.match(parts['text/html'] ?? '', /<pre>copying…\r?\ndisk full<\/pre>/)
  })

  test('email: the recovery is in the thread of the outage', async (t) => {
    const outage = await mailed(t, down)
    const recovery = await mailed(t, up)
    assert.equal(recovery.headers.subject, 'nightly backup is up again')
    assert.equal(recovery.headers.references, `<${incident}@example.org>`)
    assert.equal(outage.headers.references, recovery.headers.references)
    assert.notEqual(outage.headers['message-id'], recovery.headers['message-id'])
  })

  test('email: an output that is longer than the mail shows is attached whole', async (t) => {
    const body = Buffer.from(`begin ${'line\n'.repeat(1000)}`)
    const { parts, raw } = await mailed(t, { ...down, lastPing: { body, exitStatus: 3 } })
    assert.match(raw, /filename="?output\.txt/)
    assert.match(parts['text/plain'] ?? '', /^begin line/)
  })

  test('email: the output of a job is neither markup nor a header', async (t) => {
    const evil = { ...hostile, check: changed(hostile.check, { name: 'a\r\nBcc: victim@example.org\r\n\r\n<script>' }) }
    const { headers, parts, to: recipients } = await mailed(t, evil)
    assert.deepEqual(recipients, [to])
    assert.equal(headers.bcc, undefined)
    assert.match(headers.subject ?? '', /^a Bcc: victim@example\.org <script> is down/)
    assert.doesNotMatch(parts['text/html'] ?? '', /<script/)
    assert.match(await mailed(t, huge).then(({ headers: { subject = '' } }) => subject), /utf-8/i)
  })

  test('email: a notice is a mail too', async (t) => {
    assert.equal((await mailed(t, notice)).headers.subject, 'Channel ops was switched off')
  })

  test('email: the transport logs in, and never sends the password without TLS', async (t) => {
    const logins: string[] = []
    const { relay, received } = await mailServer(t, {
      disabledCommands: [],
      secure: false,
      hideSTARTTLS: false,
      authMethods: ['PLAIN'],
      onAuth: ({ username, password }, _session, done) => {
        logins.push(`${username}:${password}`)
        done(password === 'right' ? null : new Error('wrong'), { user: username })
      },
    })
    const login = { user: 'me', pass: 'right' }
    // The certificate of the server's library is signed by nobody.
    const error = await email
      .send(down, { to }, contextFor({ ...relay, security: 'starttls', login }))
      .catch((e: unknown) => e)
    assert.ok(error instanceof DeliveryError && error.retryable)
    assert.deepEqual([logins.length, received.length], [0, 0])
  })
})

suite('answers to email', () => {
  const answer = async (
    t: TestContext,
    code: number,
    text: string,
    at: 'onRcptTo' | 'onData' | 'onMailFrom' | 'onConnect',
  ) => {
    const fail = Object.assign(new Error(text), { responseCode: code })
    const options: SMTPServerOptions = {
      onRcptTo: (_address, _session, done) => done(at === 'onRcptTo' ? fail : null),
      onMailFrom: (_address, _session, done) => done(at === 'onMailFrom' ? fail : null),
      onConnect: (_session, done) => done(at === 'onConnect' ? fail : null),
      ...(at === 'onData' && {
        onData(stream, _session, done) {
          stream.resume().on('end', () => done(fail))
        },
      }),
    }
    const { relay } = await mailServer(t, options)
    const error = await email.send(down, { to }, contextFor(relay)).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof DeliveryError, String(error))
    return error
  }

  const cases: [number, string, Parameters<typeof answer>[3], boolean][] = [
    [550, '5.1.1 no such user', 'onRcptTo', true],
    [550, 'mailbox unavailable', 'onRcptTo', true],
    [553, '5.1.3 bad address syntax', 'onRcptTo', true],
    [550, 'User unknown in virtual mailbox table', 'onRcptTo', true],
    [550, 'relay not permitted', 'onRcptTo', false],
    [550, 'Administrative prohibition', 'onRcptTo', false],
    [550, '5.7.1 listed as a sender of spam', 'onRcptTo', false],
    [552, '5.2.2 mailbox full', 'onRcptTo', false],
    [450, '4.2.0 greylisted, come again', 'onRcptTo', false],
    [451, '4.3.0 try again later', 'onMailFrom', false],
    [554, '5.7.1 relay access denied', 'onMailFrom', false],
    [554, '5.6.0 message refused', 'onData', false],
    [421, '4.3.2 shutting down', 'onConnect', false],
  ]
  for (const [code, text, at, permanent] of cases) {
    test(`email: ${code} ${text} at ${at} is ${permanent ? 'permanent' : 'retried'}`, async (t) => {
      const error = await answer(t, code, text, at)
      assert.deepEqual([error.permanent, error.retryable], [permanent, !permanent])
      assert.match(error.message, new RegExp(`^the mail server answered ${code} .*${text.split(' ').at(-1)}`))
    })
  }

  test('email: nothing is delivered if beforeSend throws while the server waits for the message', async (t) => {
    const { relay, received } = await mailServer(t)
    const beforeSend = () => {
      throw new Error('somebody else sends it')
    }
    const sending = email.send(down, { to }, { ...contextFor(relay), beforeSend })
    await assert.rejects(sending, /^Error: somebody else sends it$/)
    assert.equal(received.length, 0)
  })

  test('email: a wrong login is retried, because the operator can correct it', async (t) => {
    const { relay } = await mailServer(t, {
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(new Error('wrong')),
    })
    const error = await email
      .send(down, { to }, contextFor({ ...relay, login: { user: 'me', pass: 'wrong' } }))
      .catch((e: unknown) => e)
    assert.ok(error instanceof DeliveryError && error.retryable)
    assert.equal(error.message, 'the mail server does not accept the login')
  })

  test('email: a server that is unreachable, hangs or closes the connection is retried', async (t) => {
    const silent = createServer()
    const rude = createServer((socket) => socket.resetAndDestroy())
    for (const server of [silent, rude]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => server.close())
    }
    const portOf = (server: typeof silent) => (server.address() as { port: number }).port
    const { relay } = await mailServer(t)
    for (const [port, timeoutMs, message, away] of [
      [1, 10_000, /cannot be reached/, 'refused'],
      [portOf(rude), 10_000, /cannot be reached/, 'reset'],
      [portOf(silent), 300, /no answer within 300 ms/, 'timeout'],
    ] as const) {
      const error = await email.send(down, { to }, contextFor({ ...relay, port }, timeoutMs)).catch((e: unknown) => e)
      assert.ok(error instanceof DeliveryError && error.retryable, String(error))
      assert.match(error.message, message)
      assert.equal(error.unreachable, away)
      assert.doesNotMatch(error.message, /127\.0\.0\.1/)
    }
  })

  test('email: a delivery is given up when the process stops', async (t) => {
    const silent = createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    t.after(() => silent.close())
    const { relay } = await mailServer(t)
    const stopping = new AbortController()
    pause(50).then(() => stopping.abort())
    const context = {
      ...contextFor({ ...relay, port: (silent.address() as { port: number }).port }),
      signal: stopping.signal,
    }
    await assert.rejects(email.send(down, { to }, context), { name: 'AbortError' })
  })

  test('email: without a mail server the kind does not exist', async () => {
    assert.match(email.unavailable?.({ smtp: null, shell: false }) ?? '', /SMTP_RELAY_HOST/)
    const error = await email.send(down, { to }, contextWith()).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof DeliveryError && error.retryable)
  })
})
