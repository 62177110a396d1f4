// Text messages by Twilio.

import { Type } from 'typebox'
import { fitText } from '../../messages/fit.ts'
import { messageOf, plain } from '../../messages/markup.ts'
import { httpTransport } from '../wire/http-transport.ts'
import { settingsOf } from '../wire/transport.ts'
import { account, twilioAnswers, twilioRequest } from '../wire/twilio.ts'

/** Three parts of a text message; Twilio would take 1,600 characters. */
const textMax = 459

const messagingService = /^MG[0-9a-fA-F]{32}$/

export const sms = httpTransport({
  kind: 'sms',
  category: 'phone',
  pace: { burst: 5, perMinute: 50 },
  settings: settingsOf({
    ...account,
    from: Type.String({
      pattern: '^(\\+[1-9]\\d{4,15}|MG[0-9a-fA-F]{32}|[A-Za-z0-9 ]{1,11})$',
      rule: 'must be a phone number, the id of a messaging service (MG…) or a sender of up to 11 letters and digits',
    }),
  }),
  request: (alert, settings) =>
    twilioRequest('Messages', settings, {
      ...(messagingService.test(settings.from) ? { MessagingServiceSid: settings.from } : { From: settings.from }),
      Body: fitText({ ...alert, output: null, links: [] }, textMax, (part) => messageOf(part, plain)),
    }),
  answers: twilioAnswers,
})
