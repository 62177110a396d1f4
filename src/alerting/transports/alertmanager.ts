// Prometheus Alertmanager: an alert pushed to its API. Alertmanager takes an alert without an end for resolved when nobody repeats it
// for some minutes, so an outage gets an end far away, and its recovery moves it to the present. The labels identify the alert: none
// of them may change between the two, so the check's name is an annotation.

import { Type } from 'typebox'
import type { Alert } from '../alert.ts'
import { fitText } from '../fit.ts'
import { basic, bearer, httpTransport, words } from '../http-transport.ts'
import { bodyOf, plain } from '../markup.ts'
import { address, base, secret, settingsOf, token } from '../transport.ts'

const lastsMs = 30 * 86_400_000
const descriptionMax = 20_000

export const alertmanager = httpTransport({
  kind: 'alertmanager',
  category: 'incident',
  settings: settingsOf({
    url: address(),
    severity: Type.Optional(Type.String({ minLength: 1, maxLength: 50, default: 'critical' })),
    labels: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$' }), Type.String({ minLength: 1, maxLength: 200 }), {
        maxProperties: 20,
        additionalProperties: false,
        rule: 'must have names of labels: letters, digits and _',
      }),
    ),
    token: Type.Optional(token()),
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    password: Type.Optional(secret()),
  }),
  problem({ token, user, password }) {
    if ((user === undefined) !== (password === undefined))
      return { field: user === undefined ? 'user' : 'password', rule: 'is required: user and password go together' }
    return token !== undefined && user !== undefined
      ? { field: 'token', rule: 'must not be combined with user and password' }
      : undefined
  },
  request: (alert, { url, severity = 'critical', labels = {}, token, user, password }) => ({
    url: `${base(url)}/api/v2/alerts`,
    headers: token !== undefined ? bearer(token) : user !== undefined ? basic(user, password ?? '') : {},
    json: [{ ...times(alert), labels: labelsOf(alert, severity, labels), ...texts(alert) }],
  }),
  answers: { read: (body) => ({ says: typeof body === 'string' ? words(body) : undefined }) },
})

function labelsOf({ incident }: Alert, severity: string, labels: Record<string, string>): Record<string, string> {
  return { alertname: 'FlatlineCheckDown', severity, ...labels, incident }
}

/** A recovery begins when the outage did, which only its facts know; Alertmanager keeps the earlier of the two beginnings. */
function times({ at, phase }: Alert): { startsAt: string; endsAt: string } {
  const iso = (epochMs: number) => new Date(epochMs).toISOString()
  return { startsAt: iso(at), endsAt: iso(phase === 'resolved' ? at : at + lastsMs) }
}

function texts(alert: Alert): { annotations: Record<string, string>; generatorURL?: string } {
  const [link] = alert.links
  return {
    annotations: {
      summary: alert.title,
      description: fitText(alert, descriptionMax, (part) => bodyOf(part, plain)),
      check: alert.source,
      ...(alert.tags.length > 0 && { tags: alert.tags.join(' ') }),
    },
    ...(link && { generatorURL: link.url }),
  }
}
