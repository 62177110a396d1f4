// Signal, through a self-hosted signal-cli-rest-api.

import { Type } from 'typebox'
import { fitText } from '../../../messages/fit.ts'
import { marks, messageOf, plain } from '../../../messages/markup.ts'
import { basic, httpTransport, pick, words } from '../../wire/http-transport.ts'
import { address, base, secret, settingsOf } from '../../wire/transport.ts'

/** Longer ones become an attachment on the phone. */
const textMax = 2000

const phone = { pattern: '^\\+[1-9]\\d{4,15}$', rule: 'must be a phone number such as +4915112345678' }

export const signal = httpTransport({
  kind: 'signal',
  category: 'chat',
  settings: settingsOf({
    api_url: address(),
    number: Type.String(phone),
    recipients: Type.Array(
      Type.String({
        maxLength: 200,
        pattern: '^(\\+[1-9]\\d{4,15}|group\\.[A-Za-z0-9+/=_-]+)$',
        rule: 'must be phone numbers such as +4915112345678 or ids of groups',
      }),
      { minItems: 1, maxItems: 20 },
    ),
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    password: Type.Optional(secret()),
  }),
  problem: ({ user, password }) =>
    (user === undefined) === (password === undefined)
      ? undefined
      : { field: user === undefined ? 'user' : 'password', rule: 'is required: user and password go together' },
  request: (alert, { api_url, number, recipients, user, password }) => ({
    url: `${base(api_url)}/v2/send`,
    headers: user !== undefined && password !== undefined ? basic(user, password) : {},
    json: {
      number,
      recipients,
      message: fitText(alert, textMax, (part) => `${marks[part.severity]} ${messageOf(part, plain)}`),
    },
  }),
  answers: {
    read: (body) => {
      const says = words(pick(body, 'error'))
      return { says, ...(/unregistered user|is not registered/i.test(says ?? '') && { gone: true }) }
    },
  },
})
