// Zulip: a message of a bot to a channel's topic or to a person.

import { type Static, Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, chatMarkdown, chatText, type Markup, marks } from '../../../messages/markup.ts'
import { cut, oneLine } from '../../../messages/text.ts'
import { type ApiRequest, basic, httpTransport, pick, seconds, words } from '../../wire/http-transport.ts'
import { address, base, secret, settingsOf } from '../../wire/transport.ts'

const contentMax = 10_000
const topicMax = 60

const goneCodes = ['STREAM_DOES_NOT_EXIST', 'USER_DEACTIVATED', 'REALM_DEACTIVATED', 'UNAUTHORIZED_PRINCIPAL']

const Settings = settingsOf({
  site: address(),
  bot_email: Type.String({ minLength: 3, maxLength: 254 }),
  api_key: secret(),
  /** A channel's name, or the e-mail address of a person. */
  to: Type.String({ minLength: 1, maxLength: 254 }),
  type: Type.Optional(Type.Enum(['stream', 'direct'], { default: 'stream' })),
  /** Without it each check has a topic of its own. */
  topic: Type.Optional(Type.String({ minLength: 1, maxLength: topicMax })),
})

export const zulip = httpTransport({
  kind: 'zulip',
  category: 'chat',
  pace: { burst: 20, perMinute: 180 },
  settings: Settings,
  request: (alert, settings) => message(alert, settings, chatMarkdown),
  plainly: (alert, settings) => message(alert, settings, chatText),
  answers: {
    read: (body) => ({
      says: words(pick(body, 'msg')),
      retryAfterMs: seconds(pick(body, 'retry-after')),
      ...(goneCodes.includes(String(pick(body, 'code'))) && { gone: true }),
    }),
  },
})

function message(alert: Alert, settings: Static<typeof Settings>, markup: Markup): ApiRequest {
  const { site, bot_email, api_key, to, type = 'stream', topic } = settings
  return {
    url: `${base(site)}/api/v1/messages`,
    headers: basic(bot_email, api_key),
    form: {
      type,
      to: type === 'direct' ? JSON.stringify([to]) : to,
      ...(type === 'stream' && { topic: cut(oneLine(topic ?? '') || alert.source, topicMax) }),
      content: fitText(
        alert,
        contentMax,
        (part) => `${marks[part.severity]} ${markup.strong(part.title)}\n\n${bodyOf(part, markup)}`,
      ),
    },
  }
}
