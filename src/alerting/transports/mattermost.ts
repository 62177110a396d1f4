// Mattermost: an incoming webhook.

import { Type } from 'typebox'
import { attachmentOf, textOf } from '../attachment.ts'
import { httpTransport, pick, words } from '../http-transport.ts'
import { address, settingsOf } from '../transport.ts'

export const mattermost = httpTransport({
  kind: 'mattermost',
  category: 'chat',
  settings: settingsOf({
    url: address({ secret: 'url' }),
    channel: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  }),
  request: (alert, { url, channel }) => ({
    url,
    json: { ...(channel !== undefined && { channel }), attachments: [attachmentOf(alert)] },
  }),
  plainly: (alert, { url, channel }) => ({
    url,
    json: { ...(channel !== undefined && { channel }), text: textOf(alert) },
  }),
  answers: {
    gone: [404, 410],
    read: (body) => ({
      says: words(pick(body, 'message')),
      ...(/^web\.incoming_webhook\.(invalid|disabled)/.test(String(pick(body, 'id'))) && { gone: true }),
    }),
  },
})
