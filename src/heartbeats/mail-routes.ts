// Heartbeats by e-mail: the SMTP server. It takes messages for checks, forwards none, and answers 250 only once what a message says is
// on disk; a mail server tries again later where it is told 4xx. The connection is plain, as it is between most mail servers on one network.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import { parseRecipient, readMail, userAgentOf } from './protocols/email.ts'
import type { Recipient } from './protocols/healthchecks.ts'
import type { Heartbeats, Incoming, Outcome } from './service.ts'

export type MailListenerOptions = {
  heartbeats: Pick<Heartbeats, 'receive'>
  /** Whose ping key this is; null if nobody's. */
  projectOf: (pingKey: string) => Promise<string | null>
  /** Whether heartbeats can be accepted at all. */
  accepting: () => boolean
  /** Without one, any is served. */
  domain: string | undefined
  /** Of each message; more is read and not kept. */
  keptBytes: number
  /** A larger message is refused. */
  messageMaxBytes: number
  connectionsMax: number
  log: { info(o: object, message: string): void; debug(o: object, message: string): void }
}

export type MailListener = ReturnType<typeof createMailListener>

const recipientsMax = 100
const idleMs = 60_000
/** However busy it is: whoever sends a byte a minute must not keep a place for ever. */
const sessionMs = 300_000
/** How long the messages under way get when the service ends. */
const lastMessagesMs = 5000

export function createMailListener(options: MailListenerOptions) {
  const { heartbeats, projectOf, accepting, domain, log } = options
  /** Messages, until their answer is written. */
  const underWay = new Set<Promise<void>>()
  const deadlines = new Map<string, NodeJS.Timeout>()
  let closing = false

  const server = new SMTPServer({
    name: domain ?? 'localhost',
    banner: 'Flatline',
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    size: options.messageMaxBytes,
    maxClients: options.connectionsMax,
    maxRecipients: recipientsMax,
    maxAllowedUnauthenticatedCommands: false,
    socketTimeout: idleMs,
    closeTimeout: lastMessagesMs,
    onConnect(session, callback) {
      if (!accepting()) return callback(reply(421, '4.3.2 Not ready, try again shortly'))
      const timer = setTimeout(() => end(session.id, 'Session took too long'), sessionMs)
      deadlines.set(session.id, timer)
      callback()
    },
    onMailFrom(_address, _session, callback) {
      callback(closing ? reply(421, '4.3.2 Shutting down') : null)
    },
    onRcptTo({ address }, _session, callback) {
      const recipient = parseRecipient(address, domain)
      if (recipient === 'rejected') callback(reply(550, '5.1.1 Recipient rejected'))
      else if (recipient === 'invalid') callback(reply(550, '5.1.1 Invalid mailbox'))
      else callback()
    },
    onData(stream, session, callback) {
      const answered = take(stream, session)
        .then(
          (text) => callback(null, text),
          (error) => callback(error),
        )
        .catch(failed)
      underWay.add(answered)
      answered.finally(() => underWay.delete(answered))
    },
    onClose: ({ id }) => {
      clearTimeout(deadlines.get(id))
      deadlines.delete(id)
    },
  })
  server.on('error', failed)

  /** Of one connection. A client that is gone is no concern of ours. */
  function failed(err: Error): void {
    log.debug({ err, event: 'mail.connection_error' }, 'a connection of the mail listener failed')
  }

  /** Resolves with the text of the answer; rejects with a refusal. */
  async function take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    const { mailFrom, rcptTo } = session.envelope
    const raw = await collect(stream, options.keptBytes)
    if (stream.sizeExceeded) throw reply(552, `5.3.4 Message larger than ${options.messageMaxBytes} bytes`)
    const signal = {
      kind: 'success',
      exitStatus: null,
      rid: null,
      scheme: 'email',
      method: '',
      remoteAddr: session.remoteAddress,
      ua: userAgentOf(mailFrom ? mailFrom.address : ''),
      body: raw.length === 0 ? null : raw,
      mail: await readMail(raw),
      pingKeyHash: null,
      uploader: null,
      key: null,
      at: null,
      requestId: `${session.id}-${session.transaction}`,
    } as const
    const recipients = rcptTo
      .map(({ address }) => parseRecipient(address, domain))
      .filter((to) => typeof to === 'object')
    const outcomes = await Promise.all(recipients.map((to) => deliver(signal, to)))
    // Whoever is told to try again sends to all recipients once more: counted twice is better than not at all.
    if (outcomes.includes(null)) throw reply(451, '4.3.0 Not stored, try again shortly')
    if (outcomes.every((outcome) => typeof outcome === 'object' && outcome !== null && 'limitedForMs' in outcome))
      throw reply(550, '5.7.1 Rate limit exceeded')
    return 'OK'
  }

  /** Null if nothing was promised. */
  async function deliver(signal: Omit<Incoming, 'monitorId' | 'slug'>, to: Recipient): Promise<Outcome | null> {
    const { requestId } = signal
    try {
      const projectId = 'pingKey' in to ? await projectOf(to.pingKey) : ''
      const slug =
        'pingKey' in to
          ? { projectId: projectId ?? '', slug: to.slug, create: false, requestId, address: signal.remoteAddr }
          : null
      const monitorId = 'monitorId' in to ? to.monitorId : ''
      const outcome = projectId === null ? 'unknown' : await receive({ ...signal, monitorId, slug })
      if (typeof outcome === 'string')
        log.info({ event: 'mail.undeliverable', outcome, requestId }, 'a message is for no check')
      return outcome
    } catch {
      return null
    }
  }

  function receive(incoming: Incoming): Promise<Outcome | null> {
    return new Promise((resolve) => {
      const taken = heartbeats.receive(incoming, (error, outcome) => resolve(error ? null : (outcome ?? null)))
      if (!taken) resolve(null)
    })
  }

  function end(sessionId: string | null, text: string): void {
    for (const connection of server.connections) {
      if (sessionId !== null && connection.id !== sessionId) continue
      connection.send(421, `4.3.2 ${text}`)
      connection.close()
    }
  }

  return {
    /** Resolves with the port; rejects where it cannot be had. */
    async listen(host: string, port: number): Promise<number> {
      const listening = server.listen(port, host)
      await once(listening, 'listening')
      return (listening.address() as AddressInfo).port
    },
    /** Takes no more messages, and waits a little for those that are under way. */
    async close(): Promise<void> {
      closing = true
      const closed = new Promise<void>((resolve) => server.close(resolve))
      const patience = new AbortController()
      const late = sleep(lastMessagesMs, undefined, { signal: patience.signal }).catch(() => undefined)
      await Promise.race([Promise.allSettled(underWay), late])
      patience.abort()
      end(null, 'Shutting down')
      await closed
    },
  }
}

function reply(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode })
}

async function collect(stream: SMTPServerDataStream, keptBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let kept = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (kept >= keptBytes) continue
    chunks.push(chunk.subarray(0, keptBytes - kept))
    kept += Math.min(chunk.length, keptBytes - kept)
  }
  return Buffer.concat(chunks, kept)
}
