// Opsgenie's alerts, whose API Jira Service Management took over: an outage creates an alert, its recovery closes it by its alias.

import { Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, plain } from '../../../messages/markup.ts'
import { cut } from '../../../messages/text.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, base, settingsOf, token } from '../../wire/transport.ts'

const messageMax = 130
const descriptionMax = 15_000
const tagsMax = 20
const tagMax = 50
/** The limit of all details together. */
const detailsMax = 8000
const detailMax = 700
const noteMax = 25_000
const sourceMax = 100

export const opsgenie = alertsApi('opsgenie', 'https://api.opsgenie.com')

export function alertsApi(kind: string, vendor: string) {
  return httpTransport({
    kind,
    category: 'incident',
    settings: settingsOf({
      api_key: token(),
      priority: Type.Optional(Type.Enum(['P1', 'P2', 'P3', 'P4', 'P5'], { default: 'P1' })),
      api_url: Type.Optional(address({ default: vendor })),
    }),
    request: (alert, { api_key, priority = 'P1', api_url = vendor }) => ({
      headers: { authorization: `GenieKey ${api_key}` },
      ...(alert.phase === 'resolved' ? closing(alert) : creation(alert, priority)),
      url: `${base(api_url)}/v2/alerts${alert.phase === 'resolved' ? `/${alert.incident}/close?identifierType=alias` : ''}`,
    }),
    answers: { read: (body) => ({ says: words(pick(body, 'message')) }) },
  })
}

function closing(alert: Alert): { json: object } {
  return {
    json: { source: 'Flatline', note: fitText(alert, noteMax, (part) => `${part.title}\n${bodyOf(part, plain)}`) },
  }
}

function creation(alert: Alert, priority: string): { json: object } {
  const details = alert.facts.map(({ label, value }) => [label, cut(value, detailMax)] as const)
  let room = detailsMax
  return {
    json: {
      message: cut(alert.title, messageMax),
      alias: alert.incident,
      description: fitText(alert, descriptionMax, (part) => bodyOf(part, plain)),
      priority: alert.severity === 'critical' ? priority : alert.severity === 'warning' ? 'P3' : 'P5',
      source: 'Flatline',
      entity: cut(alert.source, sourceMax),
      tags: alert.tags.slice(0, tagsMax).map((tag) => cut(tag, tagMax)),
      details: Object.fromEntries(
        details.filter(([label, value]) => {
          room -= label.length + value.length
          return room > 0
        }),
      ),
    },
  }
}
