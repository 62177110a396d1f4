// Envelopes as programs write them. The library enforces RFC 5321 for MAIL and RCPT; Postfix, by default, does not
// (`strict_rfc821_envelopes`, `smtpd_helo_required`, https://www.postfix.org/postconf.5.html), and the senders in cron
// jobs, printers and storage boxes were tested against such servers: no angle brackets, a name before them, an address
// without a domain, a quoted mailbox, a source route, no HELO.

import type { Socket } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'

type ParsedAddress = ReturnType<SMTPConnection['_parseAddressCommand']>

const addressMax = 1000

/** A server that accepts the envelopes that Postfix accepts. */
export class LenientSmtpServer extends SMTPServer {
  override connect(...[socket, options]: Parameters<SMTPServer['connect']>): void {
    const connection = new LenientConnection(this, socket as Socket, options)
    this.connections.add(connection)
    connection.on('error', (error) => this._onError(error))
    connection.on('connect', (data) => this._onClientConnect(data))
    connection.init()
  }
}

class LenientConnection extends SMTPConnection {
  constructor(...options: ConstructorParameters<typeof SMTPConnection>) {
    super(...options)
    this.hostNameAppearsAs ||= 'unknown'
  }

  override _parseAddressCommand(name: string, command: Buffer | string): ParsedAddress {
    const envelope = readEnvelope(name, String(command))
    if (envelope === null) return false
    // The library still reads the parameters.
    const parsed = super._parseAddressCommand(name, `${name}:<> ${envelope.parameters}`)
    return parsed && { ...parsed, address: envelope.address }
  }
}

/** The address and the rest of the command; null for another command. The address of `<>` is empty. */
export function readEnvelope(name: string, command: string): { address: string; parameters: string } | null {
  const colon = command.indexOf(':')
  const said = command.slice(0, Math.max(0, colon)).trim().replace(/\s+/g, ' ').toLowerCase()
  if (said !== name.toLowerCase()) return null
  const rest = command.slice(colon + 1).trim()
  const [, quoted = '', bracketed] = /^((?:"(?:\\.|[^"\\])*"|[^<"])*)<((?:"(?:\\.|[^"\\])*"|[^<>"])*)>/.exec(rest) ?? []
  const [, bare = ''] = /^((?:"(?:\\.|[^"\\])*"|[^\s"<>])*)(?:\s|$)/.exec(rest) ?? []
  const whole = bracketed ?? bare
  if (bracketed === undefined && bare === '') return null
  const address = whole.trim().replace(/^@[^:]*:/, '')
  // Otherwise such an address would have no visible end in a log or in the history.
  if (address.length > addressMax || /[\p{Cc}\u2028\u2029]/u.test(address)) return null
  const end = bracketed === undefined ? bare.length : quoted.length + bracketed.length + 2
  return { address, parameters: rest.slice(end).trim() }
}
