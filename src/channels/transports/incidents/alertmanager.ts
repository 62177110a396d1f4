// Prometheus Alertmanager: an alert pushed to its API. Alertmanager treats an alert without an end as resolved when it
// is not repeated for some minutes, so an outage gets an end far in the future, and its recovery moves the end to the
// present. The labels identify the alert, and people route and inhibit by them. If a check, a project or a label was
// renamed meanwhile, the alert of the outage would fire for ever, so a recovery looks up the labels of the incident in
// Alertmanager and ends those alerts, too.

import { isDeepStrictEqual } from 'node:util'
import { type Static, Type } from 'typebox'
import type { Alert } from '../../../messages/alert.ts'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, plain } from '../../../messages/markup.ts'
import { alertFor, basic, bearer, exchange, type VendorAnswers, words } from '../../wire/http-transport.ts'
import { address, base, type SendContext, secret, settingsOf, type Transport, token } from '../../wire/transport.ts'

const lastsMs = 30 * 86_400_000
const descriptionMax = 20_000

const Settings = settingsOf({
  url: address(),
  severity: Type.Optional(Type.String({ minLength: 1, maxLength: 50, default: 'critical' })),
  labels: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$' }), Type.String({ minLength: 1, maxLength: 200 }), {
      maxProperties: 20,
      additionalProperties: false,
      rule: 'must have label names of letters, digits and _',
    }),
  ),
  token: Type.Optional(token()),
  user: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  password: Type.Optional(secret()),
})

const answers: VendorAnswers = { read: (body) => ({ says: typeof body === 'string' ? words(body) : undefined }) }

export const alertmanager: Transport<Static<typeof Settings>> = {
  kind: 'alertmanager',
  category: 'incident',
  settings: Settings,
  problem({ token, user, password }) {
    if ((user === undefined) !== (password === undefined))
      return { field: user === undefined ? 'user' : 'password', rule: 'is required: user and password go together' }
    return token !== undefined && user !== undefined
      ? { field: 'token', rule: 'must not be combined with user and password' }
      : undefined
  },
  async send(message, settings, context) {
    const alert = alertFor(message, settings, context)
    const labels = labelsOf(alert, settings)
    const others = alert.phase === 'resolved' ? await activeLabels(alert, settings, context) : []
    const json = [labels, ...others.filter((other) => !isDeepStrictEqual(other, labels))].map((own) => ({
      ...times(alert),
      labels: own,
      ...texts(alert),
    }))
    await exchange({ url: alertsUrl(settings), headers: login(settings), json }, answers, context)
    return 'sent'
  },
}

const alertsUrl = ({ url }: Static<typeof Settings>) => `${base(url)}/api/v2/alerts`

const login = ({ token, user, password }: Static<typeof Settings>) =>
  token !== undefined ? bearer(token) : user !== undefined ? basic(user, password ?? '') : {}

/**
 * The labels of the incident's alerts in Alertmanager; none if the lookup fails, because the recovery must not wait for
 * it.
 */
async function activeLabels(
  { incident }: Alert,
  settings: Static<typeof Settings>,
  context: SendContext,
): Promise<Record<string, string>[]> {
  const filter = encodeURIComponent(`incident="${incident}"`)
  try {
    const url = `${alertsUrl(settings)}?filter=${filter}`
    const { body } = await exchange({ url, method: 'GET', headers: login(settings) }, answers, context)
    const found = JSON.parse(body.toString('utf8')) as unknown
    return (Array.isArray(found) ? found : []).flatMap(({ labels }) => (labels?.incident === incident ? [labels] : []))
  } catch {
    context.signal.throwIfAborted()
    return []
  }
}

function labelsOf(
  { source, project, incident }: Alert,
  { severity = 'critical', labels = {} }: Static<typeof Settings>,
): Record<string, string> {
  return {
    alertname: 'FlatlineCheckDown',
    severity,
    check: source,
    ...(project !== '' && { project }),
    ...labels,
    incident,
  }
}

/** `startsAt` of a recovery is its own time, because Alertmanager keeps the earlier start, that of the outage. */
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
