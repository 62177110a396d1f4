// Rocket.Chat: an incoming webhook. A busy server says in epoch milliseconds when to retry.

import { Type } from 'typebox'
import { attachmentOf, textOf } from '../../wire/attachment.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

export const rocketchat = httpTransport({
  kind: 'rocketchat',
  category: 'chat',
  settings: settingsOf({
    url: address({ secret: 'url' }),
    channel: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  }),
  request: (alert, { url, channel }) => ({
    url,
    json: { alias: 'Flatline', ...(channel !== undefined && { channel }), attachments: [attachmentOf(alert)] },
  }),
  plainly: (alert, { url, channel }) => ({
    url,
    json: { alias: 'Flatline', ...(channel !== undefined && { channel }), text: textOf(alert) },
  }),
  answers: {
    read: (body, { status, headers }, now) => {
      const reset = Number(headers['x-ratelimit-reset'])
      const says = words(pick(body, 'error'))
      return {
        says,
        ...(/^Invalid integration id or token/.test(says ?? '') && { gone: true }),
        failed: (body as { success?: unknown } | undefined)?.success === false,
        ...(status === 429 && reset > now && { retryAfterMs: reset - now }),
      }
    },
  },
})
