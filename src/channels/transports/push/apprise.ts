// Other services, through an Apprise API server: with addresses stored there under a key, or sent along.

import { type Static, Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, type Markup, markdown, plain } from '../../../messages/markup.ts'
import type { Severity } from '../../../messages/message.ts'
import { cut } from '../../../messages/text.ts'
import { type ApiRequest, httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, base, secret, settingsOf } from '../../wire/transport.ts'

const titleMax = 250
const bodyMax = 8000

const types: Record<Severity, string> = { critical: 'failure', warning: 'warning', info: 'info', resolved: 'success' }

const Settings = settingsOf({
  url: address(),
  key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,128}$', rule: 'must be 1 to 128 of A-Z a-z 0-9 _ -' })),
  urls: Type.Optional(secret({ maxLength: 2000 })),
  tag: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
})

export const apprise = httpTransport({
  kind: 'apprise',
  category: 'custom',
  settings: Settings,
  problem({ key, urls, tag }) {
    if (key === undefined && urls === undefined) return { field: 'key', rule: 'is required, or urls' }
    if (key !== undefined && urls !== undefined) return { field: 'urls', rule: 'must not be combined with key' }
    return tag !== undefined && key === undefined ? { field: 'tag', rule: 'needs key' } : undefined
  },
  request: (alert, settings) => message(alert, settings, 'markdown', markdown),
  plainly: (alert, settings) => message(alert, settings, 'text', plain),
  answers: {
    // 204: there is nothing under the key and tag, so no service was notified. 424: at least one service was not
    // reached.
    read: (body, { status }) => ({
      says: status === 204 ? 'nothing is configured there under the key and tag' : words(pick(body, 'error')),
      failed: status === 204,
    }),
  },
})

function message(
  alert: Alert,
  { url, key, urls, tag }: Static<typeof Settings>,
  format: 'markdown' | 'text',
  markup: Markup,
): ApiRequest {
  return {
    url: `${base(url)}/notify${key === undefined ? '' : `/${key}`}`,
    json: {
      title: cut(alert.title, titleMax),
      body: fitText(alert, bodyMax, (part) => bodyOf(part, markup)),
      type: types[alert.severity],
      format,
      ...(urls !== undefined && { urls }),
      ...(tag !== undefined && { tag }),
    },
  }
}
