// Telegram: a message of a bot to a chat, a group, a channel or one of its topics.

import type { Static } from 'typebox'
import { Type } from 'typebox'
import { fitText } from '../../../messages/fit.ts'
import { type Markup, marks, messageOf, simpleHtml, unmarked } from '../../../messages/markup.ts'
import { alertFor, exchangeMarked, pick, seconds, type VendorAnswers, words } from '../../wire/http-transport.ts'
import { address, base, secret, settingsOf, type Transport } from '../../wire/transport.ts'

const vendor = 'https://api.telegram.org'
const textMax = 4096

const Settings = settingsOf({
  token: secret({ pattern: '^\\d+:[A-Za-z0-9_-]+$', rule: 'must be a token as BotFather gives it: 123456:ABC-DEF…' }),
  chat_id: Type.String({
    pattern: '^(-?\\d{1,20}|@\\w{1,64})$',
    rule: 'must be the number of a chat or the @name of a channel',
  }),
  thread_id: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Recoveries make no sound. */
  silent_up: Type.Optional(Type.Boolean({ default: false })),
  api_url: Type.Optional(address({ default: vendor })),
})

const answers: VendorAnswers = {
  read: (body) => {
    const says = words(pick(body, 'description'))
    const code = pick(body, 'error_code')
    const own = (body as { ok?: unknown } | null | undefined)?.ok === false
    return {
      says,
      retryAfterMs: seconds(pick(body, 'parameters', 'retry_after')),
      // 404: there is no such bot. 403: it was blocked or removed.
      ...(own && (code === 403 || code === 404 || /chat not found/.test(says ?? '')) && { gone: true }),
    }
  },
}

export const telegram: Transport<Static<typeof Settings>> = {
  kind: 'telegram',
  category: 'chat',
  pace: { burst: 5, perMinute: 15 },
  settings: Settings,

  async send(message, settings, context) {
    const { token, chat_id, thread_id, silent_up, api_url = vendor } = settings
    const alert = alertFor(message, settings, context)
    const textIn = (markup: Markup) =>
      fitText(alert, textMax, (part) => `${marks[part.severity]} ${messageOf(part, markup)}`)
    const request = (chat: string, text: object) => ({
      url: `${base(api_url)}/bot${token}/sendMessage`,
      json: {
        chat_id: chat,
        ...text,
        link_preview_options: { is_disabled: true },
        disable_notification: alert.severity === 'resolved' && silent_up === true,
        ...(thread_id !== undefined && { message_thread_id: thread_id }),
      },
    })
    const marked = (chat: string) => request(chat, { text: textIn(simpleHtml), parse_mode: 'HTML' })
    const plainly = (chat: string) => request(chat, { text: textIn(unmarked) })
    let moved: string | undefined
    const following: VendorAnswers = {
      ...answers,
      read(body, response, now) {
        moved = words(pick(body, 'parameters', 'migrate_to_chat_id'))
        return answers.read?.(body, response, now) ?? {}
      },
    }
    try {
      await exchangeMarked(
        marked(chat_id),
        () => (moved === undefined ? plainly(chat_id) : undefined),
        following,
        context,
      )
    } catch (error) {
      // A group that became a supergroup has a new number, and the answer, which is a 400, says which.
      const chat = moved
      if (chat === undefined) throw error
      await exchangeMarked(marked(chat), () => plainly(chat), answers, context)
    }
    return 'sent'
  },
}
