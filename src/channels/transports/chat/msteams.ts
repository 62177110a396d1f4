// Microsoft Teams: a workflow "when a webhook request is received", which posts the adaptive card.

import type { Alert } from '../../../messages/alert.ts'
import { fitJson } from '../../../messages/fit.ts'
import { markdown, messageOf, plain } from '../../../messages/markup.ts'
import type { Severity } from '../../../messages/message.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

/** The limit is 28 KB, and the workflow wraps the card again. */
const cardMaxBytes = 24_000

const goneCodes = ['WorkflowNotFound', 'WorkflowTriggerNotFound']

const styles: Record<Severity, string> = { critical: 'attention', warning: 'warning', info: 'accent', resolved: 'good' }

export const msteams = httpTransport({
  kind: 'msteams',
  category: 'chat',
  pace: { burst: 3, perMinute: 60 },
  settings: settingsOf({ url: address({ secret: 'url' }) }),
  request: (alert, { url }) => ({ url, json: posted(fitJson(alert, cardMaxBytes, card)) }),
  plainly: (alert, { url }) => ({ url, json: posted(fitJson(alert, cardMaxBytes, plainCard)) }),
  answers: {
    read: (body) => ({
      says: words(pick(body, 'error', 'message')),
      ...(goneCodes.includes(String(pick(body, 'error', 'code'))) && { gone: true }),
    }),
  },
})

const cardOf = (content: object) => ({
  $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
  type: 'AdaptiveCard',
  version: '1.4',
  ...content,
})

const posted = (content: object) => ({
  type: 'message',
  attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content }],
})

/** The workflow accepts only cards. A RichTextBlock has no markup. */
const plainCard = (alert: Alert) =>
  cardOf({
    body: [{ type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: messageOf(alert, plain) }] }],
  })

/** A line feed alone does not end a line in every version of Teams. */
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '')

function card({ title, text, severity, facts, output, links }: Alert): object {
  const block = (content: string, extra: object = {}) => ({ type: 'TextBlock', text: content, wrap: true, ...extra })
  // Rich text has no markup, so the output appears as it is.
  const run = { type: 'TextRun', text: output, fontType: 'Monospace', size: 'Small' }
  return cardOf({
    msteams: { width: 'Full' },
    body: [
      {
        type: 'Container',
        style: styles[severity],
        bleed: true,
        items: [block(markdown.text(title), { weight: 'Bolder', size: 'Medium' })],
      },
      ...linesOf(text).map((line, index) => block(markdown.text(line), index > 0 ? { spacing: 'None' } : {})),
      ...(facts.length === 0
        ? []
        : [
            {
              type: 'FactSet',
              facts: facts.map(({ label, value }) => ({
                title: markdown.text(label),
                value: linesOf(value).map(markdown.text).join('\n\n'),
              })),
            },
          ]),
      ...(output === null
        ? []
        : [block('Last output', { weight: 'Bolder' }), { type: 'RichTextBlock', inlines: [run] }]),
    ],
    actions: links.map(({ label, url }) => ({ type: 'Action.OpenUrl', title: label, url })),
  })
}
