// ntfy: a message to a topic, on the public or a self-hosted server.

import { Type } from 'typebox'
import { fit } from '../../../messages/fit.ts'
import { bodyOf, plain } from '../../../messages/markup.ts'
import type { Severity } from '../../../messages/message.ts'
import { cut } from '../../../messages/text.ts'
import { bearer, httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, settingsOf, token } from '../../wire/transport.ts'

const vendor = 'https://ntfy.sh'
/** A longer one becomes a file. */
const messageMaxBytes = 4096
const titleMax = 250
const actionsMax = 3

const Priority = (fallback: number) => Type.Optional(Type.Integer({ minimum: 1, maximum: 5, default: fallback }))
/** Names of emoji that appear before the title. */
const tags: Record<Severity, string> = {
  critical: 'red_circle',
  warning: 'orange_circle',
  info: 'large_blue_circle',
  resolved: 'green_circle',
}

export const ntfy = httpTransport({
  kind: 'ntfy',
  category: 'push',
  pace: { burst: 30, perMinute: 12 },
  settings: settingsOf({
    url: Type.Optional(address({ default: vendor })),
    topic: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', rule: 'must be 1 to 64 of A-Z a-z 0-9 _ -' }),
    token: Type.Optional(token()),
    priority_down: Priority(5),
    priority_up: Priority(3),
  }),
  request: (alert, { url = vendor, topic, token, priority_down = 5, priority_up = 3 }) => ({
    url,
    headers: token === undefined ? {} : bearer(token),
    json: {
      topic,
      title: cut(alert.title, titleMax),
      message: fit(alert, messageMaxBytes, (part) => bodyOf({ ...part, links: [] }, plain), Buffer.byteLength),
      tags: [tags[alert.severity]],
      priority: alert.severity === 'resolved' ? priority_up : priority_down,
      ...(alert.links[0] && { click: alert.links[0].url }),
      actions: alert.links.slice(0, actionsMax).map(({ label, url: link }) => ({ action: 'view', label, url: link })),
    },
  }),
  answers: { read: (body) => ({ says: words(pick(body, 'error')) }) },
})
