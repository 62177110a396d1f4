// E-mail to one address, through the mail server of the operator: plain text and HTML, all mails of an outage in one
// thread.

import { type Static, Type } from 'typebox'
import type { Alert } from '../../messages/alert.ts'
import { bodyOf, colours, html, messageOf, plain, xml } from '../../messages/markup.ts'
import type { Message } from '../../messages/message.ts'
import { cut } from '../../messages/text.ts'
import { alertFor } from '../wire/http-transport.ts'
import { type Capabilities, DeliveryError, settingsOf, type Transport } from '../wire/transport.ts'

const subjectMax = 200
const attachmentMaxBytes = 1_000_000

const Settings = settingsOf({
  to: Type.String({
    maxLength: 254,
    pattern: '^[^\\s@,;:<>()"\\\\]+@[^\\s@,;:<>()"\\\\]+$',
    rule: 'must be one e-mail address',
  }),
})

const unavailable = ({ smtp }: Capabilities) =>
  smtp === null
    ? 'needs a mail server, and the operator of this service has configured none (SMTP_RELAY_HOST)'
    : undefined

export const email: Transport<Static<typeof Settings>> = {
  kind: 'email',
  category: 'mail',
  settings: Settings,
  unavailable,
  recipient: ({ to }) => to,

  async send(message, { to, ...templates }, context) {
    const { capabilities, signal, timeoutMs, beforeSend } = context
    const { smtp } = capabilities
    if (smtp === null) throw new DeliveryError(`e-mail ${unavailable(capabilities)}`, { retryable: true })
    const alert = alertFor(message, message.event === 'test' ? {} : templates, context)
    const unsubscribe = message.links?.unsubscribe
    const footer = unsubscribe && `Unsubscribe: ${unsubscribe}`
    await smtp.send(
      {
        to,
        subject: cut(alert.title, subjectMax),
        text: [messageOf(alert, plain), footer].filter(Boolean).join('\n\n-- \n'),
        html: page(alert, unsubscribe),
        messageId: `<${alert.deliveryId}@${smtp.domain}>`,
        references: `<${alert.incident}@${smtp.domain}>`,
        headers: headers(unsubscribe),
        ...attachments(message, alert),
      },
      { signal, timeoutMs, beforeSend },
    )
    return 'sent'
  },
}

function headers(unsubscribe: string | undefined): Record<string, string> {
  return {
    'Auto-Submitted': 'auto-generated',
    'X-Auto-Response-Suppress': 'All',
    ...(unsubscribe && {
      'List-Unsubscribe': `<${unsubscribe}>`,
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    }),
  }
}

/** The whole output, if the mail shows only its end. */
function attachments(
  message: Message,
  { output }: Alert,
): { attachments?: [{ filename: string; content: Buffer; contentType: string }] } {
  const body = message.event === 'notice' ? null : message.lastPing?.body
  if (!body || output === null || !output.startsWith('…') || body.length > attachmentMaxBytes) return {}
  return { attachments: [{ filename: 'output.txt', content: body, contentType: 'text/plain; charset=utf-8' }] }
}

function page(alert: Alert, unsubscribe: string | undefined): string {
  const title = `<h2 style="border-left:6px solid ${colours[alert.severity]};padding-left:10px;margin:0 0 12px">${xml(alert.title)}</h2>`
  const footer = unsubscribe
    ? `<p style="color:#777;font-size:12px"><a style="color:#777" href="${xml(unsubscribe)}">Unsubscribe</a></p>`
    : ''
  return `<!doctype html><html><body style="font-family:sans-serif;font-size:14px;line-height:1.5">${title}${bodyOf(alert, html)}${footer}</body></html>`
}
