// Google Chat: an incoming webhook of a space. It sends a card, whose text can be escaped; plain text could mention
// everybody.

import type { Alert } from '../../../messages/alert.ts'
import { fitJson, fitText } from '../../../messages/fit.ts'
import { html, marks, messageOf, plain } from '../../../messages/markup.ts'
import { httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

const messageMaxBytes = 31_000
const textMax = 4000

/** `<users/all>` would mention everybody, `<https://…|…>` be a link with a label. */
const harmless = (text: string) => text.replaceAll('<', '<\u200b')

export const googlechat = httpTransport({
  kind: 'googlechat',
  category: 'chat',
  pace: { burst: 5, perMinute: 55 },
  settings: settingsOf({ url: address({ secret: 'url' }) }),
  request: (alert, { url }) => ({ url, json: fitJson(alert, messageMaxBytes, message) }),
  plainly: (alert, { url }) => ({
    url,
    json: { text: fitText(alert, textMax, (part) => harmless(messageOf(part, plain))) },
  }),
  answers: {
    read: (body) => ({
      says: words(pick(body, 'error', 'message') ?? pick(body, 'error', 'status')),
      ...(pick(body, 'error', 'status') === 'NOT_FOUND' && { gone: true }),
    }),
  },
})

function message({ title, text, severity, facts, output, links }: Alert): object {
  const paragraph = (content: string) => ({ textParagraph: { text: content } })
  const widgets = [
    paragraph(html.text(text)),
    ...facts.map(({ label, value }) => ({
      decoratedText: { topLabel: label, text: html.text(value), wrapText: true },
    })),
    ...(output === null ? [] : [paragraph(`<b>Last output</b><br>${html.text(output)}`)]),
    ...(links.length === 0
      ? []
      : [
          {
            buttonList: {
              buttons: links.map(({ label, url }) => ({ text: label, onClick: { openLink: { url } } })),
            },
          },
        ]),
  ]
  return {
    fallbackText: title,
    cardsV2: [{ cardId: 'alert', card: { header: { title: `${marks[severity]} ${title}` }, sections: [{ widgets }] } }],
  }
}
