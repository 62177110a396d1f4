// Gotify: a message of an application on one's own server.

import { Type } from 'typebox'
import { fitText } from '../fit.ts'
import { httpTransport, pick, words } from '../http-transport.ts'
import { bodyOf, markdown } from '../markup.ts'
import { address, base, secret, settingsOf } from '../transport.ts'

/** The server has no limit of its own; phones have. */
const messageMax = 8000

const Priority = (fallback: number) => Type.Optional(Type.Integer({ minimum: 0, maximum: 10, default: fallback }))

export const gotify = httpTransport({
  kind: 'gotify',
  category: 'push',
  settings: settingsOf({ url: address(), token: secret(), priority_down: Priority(8), priority_up: Priority(5) }),
  request: (alert, { url, token, priority_down = 8, priority_up = 5 }) => ({
    url: `${base(url)}/message`,
    headers: { 'x-gotify-key': token },
    json: {
      title: alert.title,
      message: fitText(alert, messageMax, (part) => bodyOf(part, markdown)),
      priority: alert.severity === 'resolved' ? priority_up : priority_down,
      extras: {
        'client::display': { contentType: 'text/markdown' },
        ...(alert.links[0] && { 'client::notification': { click: { url: alert.links[0].url } } }),
      },
    },
  }),
  answers: { read: (body) => ({ says: words(pick(body, 'errorDescription') ?? pick(body, 'error')) }) },
})
