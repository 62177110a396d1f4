// Pushover. Priority 2 is an emergency, which sounds again and again until somebody confirms it, or the recovery cancels it.

import { type Static, Type } from 'typebox'
import { fitText } from '../../../messages/fit.ts'
import { bodyOf, type Markup, plain, simpleHtml } from '../../../messages/markup.ts'
import { cut } from '../../../messages/text.ts'
import { alertFor, exchange, exchangeMarked, listed, pick, type VendorAnswers } from '../../wire/http-transport.ts'
import { address, base, secret, settingsOf, type Transport } from '../../wire/transport.ts'

const vendor = 'https://api.pushover.net'
const messageMax = 1024
const titleMax = 250
const urlMax = 512
const emergency = 2
const emergencyRetryS = 300
/** As long as Pushover allows. */
const emergencyExpireS = 10_800

const key = { pattern: '^[A-Za-z0-9]{30}$', rule: 'must be 30 letters and digits' }
const Priority = (fallback: number) => Type.Optional(Type.Integer({ minimum: -2, maximum: 2, default: fallback }))

const Settings = settingsOf({
  token: secret(key),
  user: secret(key),
  device: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_,-]{1,100}$', rule: 'must be names of devices' })),
  sound: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,50}$', rule: 'must be the name of a sound' })),
  priority_down: Priority(1),
  priority_up: Priority(0),
  api_url: Type.Optional(address({ default: vendor })),
})

const answers: VendorAnswers = {
  read(body, { status, headers }, now) {
    const reset = Number(headers['x-limit-app-reset']) * 1000
    return {
      says: listed(body, 'errors'),
      ...((pick(body, 'user') === 'invalid' || pick(body, 'token') === 'invalid') && { gone: true }),
      ...(status === 429 && reset > now && { retryAfterMs: reset - now }),
    }
  },
}

export const pushover: Transport<Static<typeof Settings>> = {
  kind: 'pushover',
  category: 'push',
  settings: Settings,

  async send(message, settings, context) {
    const { token, user, device, sound, priority_down = 1, priority_up = 0, api_url = vendor } = settings
    const alert = alertFor(message, settings, context)
    const recovered = alert.phase === 'resolved'
    if (recovered && priority_down === emergency) {
      const url = `${base(api_url)}/1/receipts/cancel_by_tag/${alert.incident}.json`
      await exchange({ url, form: { token } }, answers, context)
    }
    const priority = recovered ? priority_up : priority_down
    const [link] = alert.links.filter(({ url }) => url.length <= urlMax)
    const form = (markup: Markup) => ({
      token,
      user,
      title: cut(alert.title, titleMax),
      message: fitText(alert, messageMax, (part) => bodyOf({ ...part, links: [] }, markup)),
      priority: String(priority),
      timestamp: String(Math.floor(alert.at / 1000)),
      ...(priority === emergency && {
        retry: String(emergencyRetryS),
        expire: String(emergencyExpireS),
        tags: alert.incident,
      }),
      ...(link && { url: link.url, url_title: link.label }),
      ...(device !== undefined && { device }),
      ...(sound !== undefined && { sound }),
    })
    const url = `${base(api_url)}/1/messages.json`
    const marked = { url, form: { ...form(simpleHtml), html: '1' } }
    await exchangeMarked(marked, () => ({ url, form: form(plain) }), answers, context)
    return 'sent'
  },
}
