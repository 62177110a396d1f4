// The mail server of the operator. One connection for each mail: alerts are few, and a server may close an idle
// connection at the wrong moment.

import { Readable } from 'node:stream'
import type { Config } from '../../config/load.ts'
import { failureReason } from '../../core/failure-reason.ts'
import { cut, oneLine } from '../../messages/text.ts'
import { DeliveryError } from './transport.ts'

export type SmtpRelay = {
  host: string
  port: number
  /** tls: from the start; starttls: required; opportunistic: if the server offers it; none: never. */
  security: 'tls' | 'starttls' | 'opportunistic' | 'none'
  from: string
  login: { user: string; pass: string } | undefined
}

export type Mail = {
  to: string
  subject: string
  text: string
  html: string
  messageId: string
  references: string
  headers: Record<string, string>
  attachments?: { filename: string; content: Buffer; contentType: string }[]
}

type SendOptions = { signal: AbortSignal; timeoutMs: number; beforeSend: () => void }

export type Smtp = ReturnType<typeof createSmtp>

const wordsMax = 150
const libraryMarginMs = 10_000

/** The relay of the configuration; null if there is none. */
export function smtpOf(settings: Config['alerting']): Smtp | null {
  const { smtpHost, smtpPort, smtpSecurity, smtpUser, smtpPassword, smtpFrom } = settings
  if (smtpHost === undefined || smtpFrom === undefined) return null
  const login =
    smtpUser !== undefined && smtpPassword !== undefined ? { user: smtpUser, pass: smtpPassword } : undefined
  return createSmtp({ host: smtpHost, port: smtpPort, security: smtpSecurity, from: smtpFrom, login })
}

export function createSmtp({ host, port, security, from, login }: SmtpRelay) {
  const domain = /@([^\s>]+)/.exec(from)?.[1] ?? host

  return {
    /** For identifiers of mails. */
    domain,

    /**
     * Rejects with DeliveryError, with the signal's reason, or with what `beforeSend` threw, which is called when the server is ready for
     * the message. A message that was not ended is not delivered (RFC 5321, 4.1.1.4).
     */
    async send(mail: Mail, { signal, timeoutMs, beforeSend }: SendOptions): Promise<void> {
      const timeout = AbortSignal.timeout(timeoutMs)
      let stopped: { by: unknown } | null = null
      // Loaded for the first mail, to save memory.
      const { createTransport } = await import('nodemailer')
      const transport = createTransport({
        host,
        port,
        secure: security === 'tls',
        requireTLS: security === 'starttls',
        ignoreTLS: security === 'none',
        ...(login && { auth: login }),
        // Longer than Flatline's own limit, whose error message is better.
        connectionTimeout: timeoutMs + libraryMarginMs,
        greetingTimeout: timeoutMs + libraryMarginMs,
        socketTimeout: timeoutMs + libraryMarginMs,
        dnsTimeout: timeoutMs + libraryMarginMs,
      })
      const check = () => {
        try {
          beforeSend()
        } catch (error) {
          stopped = { by: error }
          throw error
        }
      }
      transport.use('stream', (composed, done) => {
        // nodemailer reads from the stream only after the server has asked for the message.
        composed.message.processFunc((content) => Readable.from(checked(content, check)))
        done()
      })
      try {
        await transport.sendMail({
          ...mail,
          from,
          disableFileAccess: true,
          disableUrlAccess: true,
          signal: AbortSignal.any([signal, timeout]),
        })
      } catch (error) {
        signal.throwIfAborted()
        if (stopped !== null) throw (stopped as { by: unknown }).by
        throw timeout.aborted ? timedOut(timeoutMs, error) : mailError(error)
      } finally {
        transport.close()
      }
    },
  }
}

async function* checked(content: Readable, check: () => void): AsyncGenerator<Buffer> {
  check()
  yield* content as AsyncIterable<Buffer>
}

const timedOut = (timeoutMs: number, cause: unknown) =>
  new DeliveryError(`no answer within ${timeoutMs} ms from the mail server`, {
    retryable: true,
    unreachable: 'timeout',
    cause,
  })

/** Without an enhanced code the status may also come from the policy of an intermediate server. */
const noMailboxWords =
  /(unknown|no such|invalid) (user|local|mailbox|recipient|address)|(user|mailbox|recipient|address)\b.*\b(unknown|unavailable|not (found|local|known)|does not exist|rejected: undeliverable|syntax)/i

/**
 * Only a mailbox that does not exist is permanently gone. Everything else may be corrected on the server, by its
 * operator or with time: no access, a full mailbox, a list of spam senders.
 */
function mailError(cause: unknown): DeliveryError {
  const { responseCode, response, command, code } = cause as {
    responseCode?: number
    response?: string
    command?: string
    code?: string
  }
  if (code === 'EAUTH')
    return new DeliveryError('the mail server does not accept the login', { retryable: true, cause })
  if (responseCode === undefined)
    return new DeliveryError('the mail server cannot be reached', {
      retryable: true,
      unreachable: unreachableReason(cause),
      cause,
    })
  const says = cut(oneLine(response ?? String(responseCode)), wordsMax)
  const enhanced = /^\d{3}[ -](\d\.\d+\.\d+)/.exec(response ?? '')?.[1]
  const noMailbox =
    enhanced === undefined
      ? [550, 551, 553].includes(responseCode) && noMailboxWords.test(says)
      : /^5\.1\.(1|2|3|6|10)$/.test(enhanced)
  const permanent = command === 'RCPT TO' && noMailbox
  return new DeliveryError(`the mail server answered ${says}`, { permanent, retryable: !permanent, cause })
}

/** The library replaces the system's codes with its own, and leaves the system's in the message. */
function unreachableReason(cause: unknown): string {
  const { code = '', message = '' } = cause as { code?: string; message?: string }
  const own: Record<string, string> = { ECONNECTION: 'reset', EDNS: 'unresolved', ETLS: 'tls' }
  return own[code] ?? failureReason({ code: /\bE[A-Z]{4,}\b/.exec(message)?.[0] ?? code, message })
}
