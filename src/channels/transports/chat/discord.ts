// Discord: an incoming webhook with one embed. The name and the output of a job cannot mention anybody.

import type { Alert } from '../../../messages/alert.ts'
import { fit, fitText, within } from '../../../messages/fit.ts'
import { bodyOf, chatText, colours, markdown, messageOf } from '../../../messages/markup.ts'
import { httpTransport, pick, seconds, words } from '../../wire/http-transport.ts'
import { address, settingsOf } from '../../wire/transport.ts'

const titleMax = 256
const descriptionMax = 4096
const contentMax = 2000
const fieldMax = 1024
const fieldsMax = 25
const embedMax = 6000

const unknownWebhook = 10_015
const invalidToken = 50_027

type Embed = { title: string; description: string; fields: { name: string; value: string; inline: boolean }[] }

export const discord = httpTransport({
  kind: 'discord',
  category: 'chat',
  pace: { burst: 5, perMinute: 25 },
  settings: settingsOf({ url: address({ secret: 'url' }) }),
  request: (alert, { url }) => ({
    url,
    json: {
      embeds: [
        {
          ...fit(alert, 1, embed, fullness),
          color: Number.parseInt(colours[alert.severity].slice(1), 16),
          timestamp: new Date(alert.at).toISOString(),
        },
      ],
      allowed_mentions: { parse: [] },
    },
  }),
  plainly: (alert, { url }) => ({
    url,
    json: {
      content: fitText(alert, contentMax, (part) => messageOf(part, chatText)),
      allowed_mentions: { parse: [] },
    },
  }),
  answers: {
    read: (body) => {
      const code = pick(body, 'code')
      return {
        says: words(pick(body, 'message')),
        retryAfterMs: seconds(pick(body, 'retry_after')),
        ...((code === unknownWebhook || code === invalidToken) && { gone: true }),
      }
    },
  },
})

function embed(alert: Alert): Embed {
  return {
    title: within(titleMax, alert.title, markdown.text),
    description: bodyOf({ ...alert, facts: [] }, markdown),
    fields: alert.facts.slice(0, fieldsMax).map(({ label, value }) => ({
      name: within(titleMax, label, markdown.text),
      value: within(fieldMax, value, markdown.text),
      inline: value.length < 40,
    })),
  }
}

/** 1 is the largest value that Discord accepts. */
function fullness({ title, description, fields }: Embed): number {
  const all = fields.reduce((sum, { name, value }) => sum + name.length + value.length, title.length)
  return Math.max((all + description.length) / embedMax, description.length / descriptionMax)
}
