// The SMTP server for heartbeats by e-mail. It accepts messages for checks, forwards none, and answers 250 only once
// the heartbeat is on disk; a mail server retries later after a 4xx. The connection is not encrypted, as usual between
// mail servers on one network.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SMTPServerDataStream, SMTPServerSession } from 'smtp-server'
import type { MailText } from '../../../core/heartbeat.ts'
import { type BodyRoom, createBodyRoom, type Hold } from '../../../http/body/body-room.ts'
import { networkOf } from '../../../kit/network.ts'
import { readMessage } from '../../../mail/message.ts'
import type { Heartbeats } from '../../service.ts'
import type { Outcome, Signal } from '../../signal.ts'
import { parseRecipient, userAgentOf } from './email-address.ts'
import type { MailRecipients } from './mail-recipients.ts'
import { LenientSmtpServer } from './smtp-connection.ts'

type FoundRecipient = Awaited<ReturnType<MailRecipients['find']>>

export type MailListenerOptions = {
  heartbeats: Pick<Heartbeats, 'receive'>
  recipients: MailRecipients
  /** Whether heartbeats can be accepted at all. */
  accepting: () => boolean
  /** Without one, every domain is served. */
  domain: string | undefined
  /** How much of each message is kept; the rest is read and dropped. */
  keptBytes: number
  /** The limit of all unanswered messages together; further ones are refused temporarily. */
  heldMaxBytes: number
  /** A larger message is refused. */
  messageMaxBytes: number
  connectionsMax: number
  log: { info(o: object, message: string): void; debug(o: object, message: string): void }
}

const recipientsMax = 100
const idleMs = 60_000
/** A limit also for active connections: a client that sends a byte a minute must not keep a place for ever. */
const sessionMs = 300_000
/** How long messages in progress may take when the service ends. */
const lastMessagesMs = 5000

export function createMailListener(options: MailListenerOptions) {
  const { heartbeats, recipients, accepting, domain, log } = options
  /** The messages in progress, until their answer is written. */
  const underWay = new Set<Promise<void>>()
  /** The result of the look-up of each address in the current envelope. */
  const envelopes = new WeakMap<SMTPServerSession, Map<string, FoundRecipient>>()
  const room = createBodyRoom(options.heldMaxBytes)
  const inTurn = createTurns()
  const sessions = new Map<string, { network: string; deadline: NodeJS.Timeout }>()
  // As in Postfix (smtpd_client_connection_count_limit): one network alone cannot block all others.
  const ofNetworkMax = Math.max(1, Math.floor(options.connectionsMax / 2))
  let closing = false

  const server = new LenientSmtpServer({
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
      const network = networkOf(session.remoteAddress, 32, 64)
      const others = [...sessions.values()].filter((one) => one.network === network)
      if (others.length >= ofNetworkMax) return callback(reply(421, '4.7.0 Too many connections of yours at once'))
      const deadline = setTimeout(() => end(session.id, 'Session took too long'), sessionMs)
      sessions.set(session.id, { network, deadline })
      callback()
    },
    onMailFrom(_address, session, callback) {
      envelopes.set(session, new Map())
      callback(closing ? reply(421, '4.3.2 Shutting down') : null)
    },
    onRcptTo({ address }, session, callback) {
      const recipient = parseRecipient(address, domain)
      if (recipient === 'rejected') return callback(reply(550, '5.1.1 Recipient rejected'))
      if (recipient === 'invalid') return callback(reply(550, '5.1.1 Invalid mailbox'))
      recipients.find(recipient, `${session.id}-${session.transaction}`, session.remoteAddress).then(
        (found) => {
          envelopes.get(session)?.set(address, found)
          callback()
        },
        () => callback(notStored()),
      )
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
      clearTimeout(sessions.get(id)?.deadline)
      sessions.delete(id)
    },
  })
  server.on('error', failed)

  /** An error of one connection. A client that is gone needs no handling. */
  function failed(err: Error): void {
    log.debug({ err, event: 'mail.connection_error' }, 'a connection of the mail listener failed')
  }

  /** Resolves with the text of the answer; rejects with a refusal. */
  async function take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    const requestId = `${session.id}-${session.transaction}`
    const ids = recipientsOf(session, requestId)
    const message = await collect(stream, ids.length > 0 ? options.keptBytes : 0, room, session.remoteAddress)
    try {
      if (stream.sizeExceeded) throw reply(552, `5.3.4 Message larger than ${options.messageMaxBytes} bytes`)
      if (message.raw === null) throw reply(452, '4.3.1 Too many messages at once, try again shortly')
      return ids.length === 0 ? 'OK' : await record(message.raw, ids, session, requestId)
    } finally {
      message.hold.release()
    }
  }

  /** The checks of the message. A check counts once, however many of its addresses are named. */
  function recipientsOf(session: SMTPServerSession, requestId: string): string[] {
    const ids = new Set<string>()
    for (const { address } of session.envelope.rcptTo) {
      const found = envelopes.get(session)?.get(address) ?? 'unknown'
      if (typeof found === 'object') ids.add(found.id)
      else
        log.info(
          { event: 'mail.undeliverable', outcome: found, requestId },
          'a message is for an unknown check or an ambiguous slug',
        )
    }
    return [...ids]
  }

  async function record(raw: Buffer, ids: readonly string[], session: SMTPServerSession, requestId: string) {
    const { mailFrom } = session.envelope
    const filters = await recipients.filtersOf(ids).catch(() => null)
    if (filters === null) throw notStored()
    const wanted = [...filters.values()]
    const texts = wanted.some(({ filterBody }) => filterBody)
    const isRead = texts || wanted.some(({ filterSubject }) => filterSubject)
    const read = isRead ? await inTurn(() => mailTextOf(raw, texts)) : unread
    const signal = {
      kind: 'success',
      exitStatus: null,
      rid: null,
      sentAt: null,
      dedupeKey: null,
      body: raw.length === 0 ? null : raw,
      sender: {
        address: session.remoteAddress,
        remoteAddr: session.remoteAddress,
        scheme: 'email',
        method: '',
        ua: userAgentOf(mailFrom ? mailFrom.address : ''),
      },
      requestId,
    } as const
    const outcomes = await Promise.all(
      ids.map((checkId) => {
        const { filterSubject, filterBody } = filters.get(checkId) ?? unfiltered
        const mail = filterSubject || filterBody ? read : unread
        return receive({ ...signal, target: { by: 'id', checkId, within: null }, mail })
      }),
    )
    // A sender that retries sends to all recipients: a heartbeat that counts twice is better than one that is lost.
    if (outcomes.includes(null)) throw notStored()
    if (outcomes.every((outcome) => typeof outcome === 'object' && outcome !== null && 'limitedForMs' in outcome))
      throw reply(550, '5.7.1 Rate limit exceeded')
    if (outcomes.every((outcome) => typeof outcome === 'object' && outcome !== null && 'unsigned' in outcome))
      throw reply(550, '5.7.1 The check requires signed heartbeats')
    return 'OK'
  }

  function receive(signal: Signal): Promise<Outcome | null> {
    return new Promise((resolve) => {
      const taken = heartbeats.receive(signal, (error, outcome) => resolve(error ? null : (outcome ?? null)))
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
    /** Resolves with the port; rejects if it cannot listen there. */
    async listen(host: string, port: number): Promise<number> {
      const listening = server.listen(port, host)
      await once(listening, 'listening')
      return (listening.address() as AddressInfo).port
    },
    /** Accepts no more messages, and waits a little for those in progress. */
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

const notStored = () => reply(451, '4.3.0 Not stored, try again shortly')

const unread: MailText = { subject: '', text: '' }
const unfiltered = { filterSubject: false, filterBody: false }

function mailTextOf(raw: Buffer, texts: boolean): MailText {
  const { subject, plain, html } = readMessage(raw, { texts })
  return { subject, text: `${plain}\n${html}` }
}

/** Runs one piece of work after the other, and lets the event loop do other work in between. */
function createTurns(): <T>(work: () => T) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.then(() => new Promise((resolve) => setImmediate(resolve))).then(work)
    last = turn.catch(() => undefined)
    return turn
  }
}

/** Keeps the first bytes of a message; null if they were dropped for others. Reads the message to its end. */
async function collect(
  stream: SMTPServerDataStream,
  keptBytes: number,
  room: BodyRoom,
  address: string,
): Promise<{ raw: Buffer | null; hold: Hold }> {
  const message: { chunks: Buffer[] | null } = { chunks: [] }
  let kept = 0
  const giveWay = () => {
    message.chunks = null
  }
  const hold = room.begin(() => networkOf(address, 32, 64), giveWay)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const length = Math.min(chunk.length, keptBytes - kept)
      if (length === 0 || message.chunks === null) continue
      message.chunks.push(chunk.subarray(0, length))
      kept += length
      hold.add(length)
    }
  } catch (error) {
    hold.release()
    throw error
  }
  if (!hold.arrived()) giveWay()
  return { raw: message.chunks && Buffer.concat(message.chunks, kept), hold }
}
