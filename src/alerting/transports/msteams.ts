// Microsoft Teams: a workflow "when a webhook request is received", which posts the adaptive card.

import type { Alert } from '../alert.ts'
import { fitJson } from '../fit.ts'
import { httpTransport, pick, words } from '../http-transport.ts'
import { markdown } from '../markup.ts'
import type { Severity } from '../message.ts'
import { address, settingsOf } from '../transport.ts'

/** The limit is 28 KB, and the workflow wraps the card again. */
const cardMaxBytes = 24_000

const styles: Record<Severity, string> = { critical: 'attention', warning: 'warning', info: 'accent', resolved: 'good' }

export const msteams = httpTransport({
  kind: 'msteams',
  category: 'chat',
  pace: { burst: 3, perMinute: 60 },
  settings: settingsOf({ url: address({ secret: 'url' }) }),
  request: (alert, { url }) => ({
    url,
    json: {
      type: 'message',
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          contentUrl: null,
          content: fitJson(alert, cardMaxBytes, card),
        },
      ],
    },
  }),
  answers: { gone: [404, 410], read: (body) => ({ says: words(pick(body, 'error', 'message')) }) },
})

function card({ title, text, severity, facts, output, links }: Alert): object {
  const block = (content: string, extra: object = {}) => ({ type: 'TextBlock', text: content, wrap: true, ...extra })
  // Rich text knows no markup, so that output appears as it is.
  const run = { type: 'TextRun', text: output, fontType: 'Monospace', size: 'Small' }
  return {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    body: [
      {
        type: 'Container',
        style: styles[severity],
        bleed: true,
        items: [block(markdown.text(title), { weight: 'Bolder', size: 'Medium' })],
      },
      block(markdown.text(text)),
      ...(facts.length === 0
        ? []
        : [
            {
              type: 'FactSet',
              facts: facts.map(({ label, value }) => ({ title: label, value: markdown.text(value) })),
            },
          ]),
      ...(output === null
        ? []
        : [block('Last output', { weight: 'Bolder' }), { type: 'RichTextBlock', inlines: [run] }]),
    ],
    actions: links.map(({ label, url }) => ({ type: 'Action.OpenUrl', title: label, url })),
  }
}
