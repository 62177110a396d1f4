// Every kind of channel, with valid settings, its vendor's answer, and where its message has text in which format.

import type { TestContext } from 'node:test'
import { transports } from '../../../src/channels/transports.ts'
import type { Mail, Smtp } from '../../../src/channels/wire/smtp.ts'
import type { Sent, Transport } from '../../../src/channels/wire/transport.ts'
import type { Message } from '../../../src/messages/message.ts'
import { type Asked, contextWith, fakeDestination, form, json, type Reply } from './contract.ts'
import type { Format } from './rendered.ts'

export type Part = [format: Format, text: string]

export type Kind = {
  settings: (url: string) => object
  taken: Reply
  /** The texts of a request. Links that are buttons are written as their vendor would show them. */
  parts: (asked: readonly Asked[]) => Part[]
  /** The message has markup, which a vendor may refuse. */
  marked: boolean
  /** Whether an at sign can mention somebody. */
  calls: boolean
  /** What a message about an outage may contain. */
  shows?: 'some' | 'title'
}

type Field = { title: string; name: string; value: string }

const pairs = (values: object) =>
  Object.entries(values)
    .map(([label, value]) => `${label}: ${value}`)
    .join('\n')
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const part = (format: Format, value: unknown): Part[] => (typeof value === 'string' ? [[format, value]] : [])
const twilio = (url: string) => ({
  account_sid: `AC${'0'.repeat(32)}`,
  auth_token: 'secret',
  from: '+15005550006',
  to: '+4915112345678',
  api_url: url,
})

const chatParts = (asked: readonly Asked[]): Part[] => {
  const body = json(asked)
  const attachments = (body.attachments ?? []) as { title: string; text: string; fallback: string; fields: Field[] }[]
  return [
    ...part('chat', body.text),
    ...attachments.flatMap(({ title, text: own, fallback, fields }): Part[] => [
      ['chat', title],
      ['chat', own],
      ['plain', fallback],
      ...fields.flatMap(({ title: label, value }): Part[] => [
        ['chat', label],
        ['chat', value],
      ]),
    ]),
  ]
}

type Text = { type: string; text: string }
type Block = { text?: Text; fields?: Text[] }

function slackParts(asked: readonly Asked[]): Part[] {
  const { text: title, attachments = [] } = json(asked) as {
    text: string
    attachments?: { fallback: string; blocks: Block[] }[]
  }
  return [
    ['mrkdwn', title],
    ...attachments.flatMap(({ fallback, blocks }): Part[] => [
      ['plain', fallback],
      ...blocks.flatMap(({ text: own, fields = [] }) =>
        [own, ...fields].flatMap((one): Part[] => (one ? [['mrkdwn', one.text]] : [])),
      ),
    ]),
  ]
}

function discordParts(asked: readonly Asked[]): Part[] {
  const { content, embeds = [] } = json(asked) as {
    content?: string
    embeds?: { title: string; description: string; fields: Field[] }[]
  }
  return [
    ...part('chat', content),
    ...embeds.flatMap(({ title, description, fields }): Part[] => [
      ['chat', title],
      ['chat', description],
      ...fields.flatMap(({ name, value }): Part[] => [
        ['chat', name],
        ['chat', value],
      ]),
    ]),
  ]
}

type Widget = {
  textParagraph?: { text: string }
  decoratedText?: { topLabel: string; text: string }
  buttonList?: { buttons: { text: string }[] }
}

function googlechatParts(asked: readonly Asked[]): Part[] {
  const body = json(asked)
  const [card] = (body.cardsV2 ?? []) as { card: { header: { title: string }; sections: [{ widgets: Widget[] }] } }[]
  return [
    ...part('plain', body.text),
    ...part('plain', card?.card.header.title),
    ...(card?.card.sections[0].widgets ?? []).flatMap(({ textParagraph, decoratedText, buttonList }): Part[] => [
      ...part('html', textParagraph?.text),
      ...part('plain', decoratedText?.topLabel),
      ...part('html', decoratedText?.text),
      ...(buttonList?.buttons ?? []).map(({ text: label }): Part => ['plain', label]),
    ]),
  ]
}

type Element = {
  type: string
  text?: string
  items?: Element[]
  facts?: { title: string; value: string }[]
  inlines?: { text: string }[]
}

/** Adaptive cards read a part of Markdown in text blocks and facts, and none in rich text. */
function msteamsParts(asked: readonly Asked[]): Part[] {
  const elementParts = ({ text: own, items = [], facts = [], inlines = [] }: Element): Part[] => [
    ...part('commonmark', own),
    ...items.flatMap(elementParts),
    ...facts.flatMap(({ title, value }): Part[] => [
      ['commonmark', title],
      ['commonmark', value],
    ]),
    ...inlines.map(({ text: run }): Part => ['plain', run]),
  ]
  const { body, actions = [] } = json(asked).attachments[0].content as {
    body: Element[]
    actions?: { title: string }[]
  }
  return [...body.flatMap(elementParts), ...actions.map(({ title }): Part => ['plain', title])]
}

const alerts = {
  settings: (url: string) => ({ api_key: 'secret', api_url: url }),
  taken: { status: 202, body: { result: 'ok' } },
  parts: (asked: readonly Asked[]): Part[] => {
    const { message, description, details } = json(asked)
    return [
      ['plain', message],
      ['plain', description],
      ['plain', pairs(details)],
    ]
  },
  marked: false,
  calls: false,
}

/** Each kind of channel by its name, but a group, which only forwards. */
export const kinds: Record<Exclude<keyof typeof transports, 'group'>, Kind> = {
  alertmanager: {
    settings: (url) => ({ url }),
    taken: {},
    parts: (asked) => {
      const { annotations } = json(asked)[0]
      return [
        ['plain', annotations.summary],
        ['plain', annotations.description],
      ]
    },
    marked: false,
    calls: false,
  },
  apprise: {
    settings: (url) => ({ url, key: 'ops' }),
    taken: { body: { error: null } },
    parts: (asked) => {
      const { title, body, format } = json(asked)
      return [
        ['plain', title],
        [format === 'markdown' ? 'commonmark' : 'plain', body],
      ]
    },
    marked: true,
    calls: false,
  },
  call: {
    settings: twilio,
    taken: { status: 201, body: { sid: 'CA1' } },
    parts: (asked) => [['xml', text(form(asked).Twiml)]],
    marked: true,
    calls: false,
    shows: 'title',
  },
  email: {
    settings: () => ({ to: 'ops@example.net' }),
    taken: {},
    parts: (asked) => {
      const { subject, text: words, html } = json(asked) as Mail
      return [
        ['plain', subject],
        ['plain', words],
        ['html', html],
      ]
    },
    marked: false,
    calls: false,
  },
  discord: {
    settings: (url) => ({ url: `${url}/api/webhooks/1/token` }),
    taken: { status: 204 },
    parts: discordParts,
    marked: true,
    calls: true,
  },
  github: {
    settings: (url) => ({ repo: 'me/ops', token: 'ghp_secret', api_url: url }),
    taken: { status: 201, body: { number: 7 } },
    parts: (asked) => [
      ['plain', json(asked).title],
      ['chat', text(json(asked).body).replace(/\n\n<!-- flatline-\S+ -->$/, '')],
      ['commonmark', text(json(asked).body).replace(/\n\n<!-- flatline-\S+ -->$/, '')],
    ],
    marked: true,
    calls: true,
  },
  googlechat: {
    settings: (url) => ({ url: `${url}/v1/spaces/AAA/messages?key=k&token=t` }),
    taken: { body: {} },
    parts: googlechatParts,
    marked: true,
    calls: false,
  },
  gotify: {
    settings: (url) => ({ url, token: 'AbCdEf' }),
    taken: { body: { id: 1 } },
    parts: (asked) => {
      const { title, message, extras } = json(asked)
      const { contentType } = extras['client::display']
      return [
        ['plain', title],
        [contentType === 'text/markdown' ? 'commonmark' : 'plain', message],
      ]
    },
    marked: true,
    calls: false,
  },
  jsm: alerts,
  matrix: {
    settings: (url) => ({ homeserver: url, token: 'syt_secret', room_id: '!abc:example.org' }),
    taken: { body: { event_id: '$1' } },
    parts: (asked) => [...part('plain', json(asked).body), ...part('html', json(asked).formatted_body)],
    marked: true,
    calls: false,
  },
  mattermost: {
    settings: (url) => ({ url: `${url}/hooks/xyz` }),
    taken: { body: 'ok' },
    parts: chatParts,
    marked: true,
    calls: true,
  },
  msteams: {
    settings: (url) => ({ url: `${url}/workflows/abc` }),
    taken: { status: 202 },
    parts: msteamsParts,
    marked: true,
    calls: false,
  },
  ntfy: {
    settings: (url) => ({ url, topic: 'alerts' }),
    taken: { body: { id: 'x' } },
    parts: (asked) => [
      ['plain', json(asked).title],
      ['plain', json(asked).message],
    ],
    marked: false,
    calls: false,
  },
  opsgenie: alerts,
  pagerduty: {
    settings: (url) => ({ routing_key: 'a'.repeat(32), api_url: url }),
    taken: { status: 202, body: { status: 'success' } },
    parts: (asked) => [
      ['plain', json(asked).payload.summary],
      ['plain', pairs(json(asked).payload.custom_details)],
    ],
    marked: false,
    calls: false,
  },
  pushbullet: {
    settings: (url) => ({ token: 'o.secret', api_url: url }),
    taken: { body: {} },
    parts: (asked) => [
      ['plain', json(asked).title],
      ['plain', json(asked).body],
    ],
    marked: false,
    calls: false,
  },
  pushover: {
    settings: (url) => ({ token: 'a'.repeat(30), user: 'u'.repeat(30), api_url: url }),
    taken: { body: { status: 1 } },
    parts: (asked) => {
      const { title, message, html } = form(asked)
      return [...part('plain', title), ...part(html === '1' ? 'telegram' : 'plain', message)]
    },
    marked: true,
    calls: false,
    shows: 'some',
  },
  rocketchat: {
    settings: (url) => ({ url: `${url}/hooks/xyz/abc` }),
    taken: { body: { success: true } },
    parts: chatParts,
    marked: true,
    calls: true,
  },
  shell: {
    settings: () => ({ cmd_down: 'printf %s "$TITLE" > "$OUT"' }),
    taken: {},
    parts: () => [],
    marked: false,
    calls: false,
  },
  signal: {
    settings: (url) => ({ api_url: url, number: '+4915112345678', recipients: ['+4915187654321'] }),
    taken: { status: 201, body: {} },
    parts: (asked) => [['plain', json(asked).message]],
    marked: false,
    calls: false,
  },
  slack: {
    settings: (url) => ({ url: `${url}/services/T0/B0/xyz` }),
    taken: { body: 'ok' },
    parts: slackParts,
    marked: true,
    calls: true,
  },
  sms: {
    settings: twilio,
    taken: { status: 201, body: { sid: 'SM1' } },
    parts: (asked) => part('plain', form(asked).Body),
    marked: false,
    calls: false,
    shows: 'title',
  },
  telegram: {
    settings: (url) => ({ token: '123456:ABC-DEF_ghi', chat_id: '-100123', api_url: url }),
    taken: { body: { ok: true } },
    parts: (asked) => [[json(asked).parse_mode === 'HTML' ? 'telegram' : 'plain', json(asked).text]],
    marked: true,
    calls: true,
  },
  victorops: {
    settings: (url) => ({ url: `${url}/integrations/generic/20131114/alert/key/ops` }),
    taken: { body: { result: 'success' } },
    parts: (asked) => [
      ['plain', json(asked).entity_display_name],
      ['plain', json(asked).state_message],
    ],
    marked: false,
    calls: false,
  },
  webhook: {
    settings: (url) => ({ url }),
    taken: {},
    parts: (asked) => [
      ['plain', json(asked).title],
      ['plain', json(asked).text],
    ],
    marked: false,
    calls: false,
  },
  zulip: {
    settings: (url) => ({ site: url, bot_email: 'bot@example.org', api_key: 'secret', to: 'ops' }),
    taken: { body: { result: 'success' } },
    parts: (asked) => part('chat', form(asked).content),
    marked: true,
    calls: true,
  },
}

/** What a channel of the kind sends for a message, and the outcome. A mail is shown as JSON. */
export async function tell(
  t: Pick<TestContext, 'after'>,
  name: keyof typeof kinds,
  message: Message,
  { own = {}, reply }: { own?: object; reply?: Parameters<typeof fakeDestination>[1] } = {},
): Promise<{ asked: Asked[]; outcome: Sent | Error }> {
  const { settings, taken } = kinds[name]
  const { url, asked } = await fakeDestination(t, reply ?? (() => taken))
  const smtp: Smtp = {
    domain: 'flatline.example',
    async send(mail) {
      asked.push({ method: 'MAIL', url: '', headers: {}, body: JSON.stringify(mail) })
    },
  }
  const context = contextWith({ capabilities: { smtp, shell: true } })
  const transport: Transport = transports[name]
  const outcome = await transport
    .send(message, { ...settings(url), ...own } as never, context)
    .catch((error: Error) => error)
  return { asked, outcome }
}
