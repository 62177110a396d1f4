// Pushbullet: a note to the devices of the token's owner, or to one of them. The delivery's id prevents duplicates.

import { Type } from 'typebox'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, plain } from '../../../messages/markup.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, base, settingsOf, token } from '../../wire/transport.ts'

const vendor = 'https://api.pushbullet.com'
const bodyMax = 4000

export const pushbullet = httpTransport({
  kind: 'pushbullet',
  category: 'push',
  settings: settingsOf({
    token: token(),
    device_iden: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    api_url: Type.Optional(address({ default: vendor })),
  }),
  request: (alert, { token, device_iden, api_url = vendor }) => ({
    url: `${base(api_url)}/v2/pushes`,
    headers: { 'access-token': token },
    json: {
      type: 'note',
      title: alert.title,
      body: fitText(alert, bodyMax, (part) => bodyOf(part, plain)),
      guid: alert.deliveryId,
      ...(device_iden !== undefined && { device_iden }),
    },
  }),
  answers: {
    read: (body, { status, headers }, now) => {
      const reset = Number(headers['x-ratelimit-reset']) * 1000
      return {
        says: words(pick(body, 'error', 'message')),
        ...(status === 429 && reset > now && { retryAfterMs: reset - now }),
      }
    },
  },
})
