// Phone calls by Twilio.

import { Type } from 'typebox'
import type { Alert } from '../../messages/alert.ts'
import { xml } from '../../messages/markup.ts'
import { cut } from '../../messages/text.ts'
import { httpTransport } from '../wire/http-transport.ts'
import { settingsOf } from '../wire/transport.ts'
import { account, phone, twilioAnswers, twilioRequest } from '../wire/twilio.ts'

/** The limit of each sentence; Twilio accepts 4,000 characters of TwiML. */
const spokenMax = 250

export const call = httpTransport({
  kind: 'call',
  category: 'phone',
  pace: { burst: 3, perMinute: 50 },
  // Nobody wants to be woken by the news that everything works.
  alerts: { events: ['down'] },
  settings: settingsOf({ ...account, from: Type.String(phone) }),
  request: (alert, settings) => twilioRequest('Calls', settings, { From: settings.from, Twiml: spoken(alert) }),
  plainly: (alert, settings) =>
    twilioRequest('Calls', settings, { From: settings.from, Twiml: spoken(alert, lettersOnly) }),
  answers: twilioAnswers,
})

/** Without anything that could be markup. */
const lettersOnly = (text: string) => text.replace(/[^\p{L}\p{N} .,:-]/gu, ' ')

/** Said twice: the first words of a call are often missed. */
function spoken({ title, text }: Alert, written = xml): string {
  const say = `<Say>Flatline alert. ${written(cut(title, spokenMax))}. ${written(cut(text, spokenMax))}</Say>`
  return `<?xml version="1.0" encoding="UTF-8"?><Response>${say}<Pause length="1"/>${say}</Response>`
}
