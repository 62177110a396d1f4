// Splunk On-Call, formerly VictorOps: its REST endpoint, whose address contains the key and the routing. It also
// answers 200 to what it does not accept, and says so in the body.

import { fitText } from '../../../messages/fit.ts'
import { bodyOf, plain } from '../../../messages/markup.ts'
import type { Severity } from '../../../messages/message.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

const stateMessageMax = 20_000

const types: Record<Severity, string> = {
  critical: 'CRITICAL',
  warning: 'WARNING',
  info: 'INFO',
  resolved: 'RECOVERY',
}

export const victorops = httpTransport({
  kind: 'victorops',
  category: 'incident',
  settings: settingsOf({ url: address({ secret: 'url' }) }),
  request: (alert, { url }) => ({
    url,
    json: {
      message_type: types[alert.severity],
      entity_id: alert.incident,
      entity_display_name: alert.title,
      state_message: fitText(alert, stateMessageMax, (part) => bodyOf(part, plain)),
      state_start_time: Math.floor(alert.at / 1000),
      monitoring_tool: 'Flatline',
    },
  }),
  answers: {
    read: (body) => ({
      says: words(pick(body, 'messages') ?? pick(body, 'messages', 0)),
      failed: pick(body, 'result') === 'failure',
    }),
  },
})
