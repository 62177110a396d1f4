// Mattermost: an incoming webhook.

import { Type } from 'typebox'
import { attachmentOf, textOf } from '../../wire/attachment.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

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
    read: (body, { status }) => {
      const id = String(pick(body, 'id'))
      // Production servers give one general reason; with 404 it means that the webhook or its channel does not exist.
      const isGeneral = status === 404 && id === 'web.incoming_webhook.general.app_error'
      return {
        says: words(pick(body, 'message')),
        ...((isGeneral || /^web\.incoming_webhook\.(invalid|disabled|channel)\b/.test(id)) && { gone: true }),
      }
    },
  },
})
