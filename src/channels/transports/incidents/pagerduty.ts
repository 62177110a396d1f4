// PagerDuty, Events API v2: an outage triggers an incident, its recovery resolves it, a repetition changes nothing.

import { Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitJson } from '../../../messages/fit.ts'
import { cut } from '../../../messages/text.ts'
import { httpTransport, listed, pick, words } from '../../wire/http-transport.ts'
import { address, base, secret, settingsOf } from '../../wire/transport.ts'

const vendor = 'https://events.pagerduty.com'
const eventMaxBytes = 500_000
const summaryMax = 1024

export const pagerduty = httpTransport({
  kind: 'pagerduty',
  category: 'incident',
  pace: { burst: 30, perMinute: 90 },
  settings: settingsOf({
    routing_key: secret({ pattern: '^[A-Za-z0-9]{32}$', rule: 'must be an integration key: 32 letters and digits' }),
    severity: Type.Optional(Type.Enum(['critical', 'error', 'warning', 'info'], { default: 'critical' })),
    api_url: Type.Optional(address({ default: vendor })),
  }),
  request: (alert, { routing_key, severity = 'critical', api_url = vendor }) => ({
    url: `${base(api_url)}/v2/enqueue`,
    json: fitJson(alert, eventMaxBytes, (part) => ({
      routing_key,
      dedup_key: part.incident,
      ...(part.phase === 'resolved' ? { event_action: 'resolve' } : trigger(part, severity)),
    })),
  }),
  answers: {
    read: (body) => {
      const errors = listed(body, 'errors')
      return {
        says: errors ?? words(pick(body, 'message')),
        ...(/routing.?key/i.test(errors ?? '') && { gone: true }),
      }
    },
  },
})

function trigger(alert: Alert, severity: string): object {
  const { title, text, facts, output, links, tags, at, source } = alert
  return {
    event_action: 'trigger',
    payload: {
      summary: cut(`${title}. ${text}`, summaryMax),
      source,
      severity: alert.severity === 'critical' ? severity : alert.severity === 'warning' ? 'warning' : 'info',
      timestamp: new Date(at).toISOString(),
      component: source,
      ...(tags.length > 0 && { group: tags.join(' ') }),
      class: 'heartbeat',
      custom_details: {
        Reason: text,
        ...Object.fromEntries(facts.map(({ label, value }) => [label, value])),
        ...(output !== null && { 'Last output': output }),
      },
    },
    client: 'Flatline',
    ...(links[0] && { client_url: links[0].url }),
    links: links.map(({ label, url }) => ({ href: url, text: label })),
  }
}
