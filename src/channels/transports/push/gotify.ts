// Gotify: a message of an application on a self-hosted server.

import { type Static, Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, type Markup, markdown, plain } from '../../../messages/markup.ts'
import { type ApiRequest, httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, base, settingsOf, token } from '../../wire/transport.ts'

/** The server has no limit of its own; phones have. */
const messageMax = 8000

const Priority = (fallback: number) => Type.Optional(Type.Integer({ minimum: 0, maximum: 10, default: fallback }))

const Settings = settingsOf({
  url: address(),
  token: token(),
  priority_down: Priority(8),
  priority_up: Priority(5),
})

export const gotify = httpTransport({
  kind: 'gotify',
  category: 'push',
  settings: Settings,
  request: (alert, settings) => message(alert, settings, markdown, 'text/markdown'),
  plainly: (alert, settings) => message(alert, settings, plain, 'text/plain'),
  answers: { read: (body) => ({ says: words(pick(body, 'errorDescription') ?? pick(body, 'error')) }) },
})

function message(alert: Alert, settings: Static<typeof Settings>, markup: Markup, contentType: string): ApiRequest {
  const { url, token, priority_down = 8, priority_up = 5 } = settings
  return {
    url: `${base(url)}/message`,
    headers: { 'x-gotify-key': token },
    json: {
      title: alert.title,
      message: fitText(alert, messageMax, (part) => bodyOf(part, markup)),
      priority: alert.severity === 'resolved' ? priority_up : priority_down,
      extras: {
        'client::display': { contentType },
        ...(alert.links[0] && { 'client::notification': { click: { url: alert.links[0].url } } }),
      },
    },
  }
}
