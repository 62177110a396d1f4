// Slack, and services that accept its incoming webhooks. The title is the text, which notifications show; the rest is
// an attachment of blocks, because only attachments have a colour.

import type { Alert } from '../../../messages/alert.ts'
import { fitText, within } from '../../../messages/fit.ts'
import { messageOf, mrkdwn, plain, unmentioned } from '../../../messages/markup.ts'
import { httpTransport } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

const textMax = 3000
const fieldMax = 2000
const fieldsPerSection = 10
const goneWords = [
  'channel_is_archived',
  'channel_not_found',
  'invalid_token',
  'no_service',
  'no_service_id',
  'no_team',
  'team_disabled',
]
const colours = { critical: 'danger', warning: 'warning', resolved: 'good', info: '#439FE0' }

export const slack = httpTransport({
  kind: 'slack',
  category: 'chat',
  pace: { burst: 5, perMinute: 55 },
  settings: settingsOf({ url: address({ secret: 'url' }) }),
  request: (alert, { url }) => ({
    url,
    json: {
      text: within(textMax, alert.title, mrkdwn.strong),
      attachments: [{ color: colours[alert.severity], fallback: unmentioned(alert.text), blocks: blocks(alert) }],
    },
  }),
  // Links and mentions in the text must also be escaped outside of blocks.
  plainly: (alert, { url }) => ({
    url,
    json: { text: fitText(alert, textMax, (part) => mrkdwn.text(messageOf(part, plain))), mrkdwn: false },
  }),
  answers: {
    // Errors are a word of plain text (docs.slack.dev, Sending messages using incoming webhooks). A token becomes
    // invalid when its owner leaves the workspace.
    read: (_body, { status, body }) => {
      const word = body.toString('utf8')
      const says = status !== 200 && /^[a-z_]{2,50}$/.test(word) ? word : undefined
      return { says, ...(goneWords.includes(says ?? '') && { gone: true }) }
    },
  },
})

function blocks({ text, facts, output, links }: Alert): object[] {
  const section = (marked: string) => ({ type: 'section', text: { type: 'mrkdwn', text: marked } })
  const fields = facts.map(({ label, value }) => ({
    type: 'mrkdwn',
    text: within(fieldMax, value, (part) => `${mrkdwn.strong(label)}\n${mrkdwn.text(part)}`),
  }))
  const groups = Array.from({ length: Math.ceil(fields.length / fieldsPerSection) }, (_, index) =>
    fields.slice(index * fieldsPerSection, (index + 1) * fieldsPerSection),
  )
  return [
    section(within(textMax, text, mrkdwn.text)),
    ...groups.map((group) => ({ type: 'section', fields: group })),
    ...(output === null ? [] : [section(within(textMax, output, (part) => `*Last output*\n${mrkdwn.code(part)}`))]),
    ...(links.length === 0 ? [] : [section(links.map(({ label, url }) => mrkdwn.link(label, url)).join('  '))]),
  ]
}
