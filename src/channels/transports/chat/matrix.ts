// Matrix: a message to a room that the user of the token has joined. The delivery's id is the transaction id, so a
// message that is sent again appears once.

import { type Static, Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitJson } from '../../../messages/fit.ts'
import { html, marks, messageOf, unmarked } from '../../../messages/markup.ts'
import { type ApiRequest, bearer, httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, base, settingsOf, token } from '../../wire/transport.ts'

/** An event may have 65,536 bytes, with what the server adds. */
const eventMaxBytes = 60_000

const Settings = settingsOf({
  homeserver: address(),
  token: token(),
  room_id: Type.String({
    maxLength: 255,
    pattern: '^![^\\s:]+(:\\S+)?$',
    rule: 'must be the internal id of a room: !abc:example.org',
  }),
})

export const matrix = httpTransport({
  kind: 'matrix',
  category: 'chat',
  settings: Settings,
  request: (alert, settings) =>
    sending(alert, settings, (part) => ({
      ...textOf(part),
      format: 'org.matrix.custom.html',
      formatted_body: `${marks[part.severity]} ${messageOf(part, html)}`,
    })),
  plainly: (alert, settings) => sending(alert, settings, textOf),
  answers: {
    read: (body) => {
      const code = pick(body, 'errcode')
      const wait = Number(pick(body, 'retry_after_ms'))
      return {
        says: words(pick(body, 'error')),
        ...(wait > 0 && { retryAfterMs: wait }),
        ...(code === 'M_UNKNOWN_TOKEN' || code === 'M_USER_DEACTIVATED' || code === 'M_FORBIDDEN'
          ? { gone: true }
          : {}),
      }
    },
  },
})

function sending(
  alert: Alert,
  { homeserver, token, room_id }: Static<typeof Settings>,
  event: (part: Alert) => object,
): ApiRequest {
  return {
    url: `${base(homeserver)}/_matrix/client/v3/rooms/${encodeURIComponent(room_id)}/send/m.room.message/${alert.deliveryId}`,
    method: 'PUT',
    headers: bearer(token),
    json: fitJson(alert, eventMaxBytes, event),
  }
}

const textOf = (part: Alert) => ({
  msgtype: 'm.text',
  body: `${marks[part.severity]} ${messageOf(part, unmarked)}`,
  'm.mentions': {},
})
