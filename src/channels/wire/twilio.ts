// What text messages and calls by Twilio have in common. A number that does not exist, cannot receive or has
// unsubscribed is permanently gone.

import { type Static, Type } from 'typebox'
import { type ApiRequest, basic, pick, type VendorAnswers, words } from './http-transport.ts'
import { address, base, secret } from './transport.ts'

const vendor = 'https://api.twilio.com'

export const phone = { pattern: '^\\+[1-9]\\d{4,15}$', rule: 'must be a phone number such as +4915112345678' }

export const account = {
  account_sid: Type.String({ pattern: '^AC[0-9a-fA-F]{32}$', rule: 'must be AC and 32 hex digits' }),
  auth_token: secret(),
  to: Type.String(phone),
  api_url: Type.Optional(address({ default: vendor })),
}

const Account = Type.Object(account)

/** No such account; a number that is invalid, unreachable, unsubscribed, or not mobile. */
const goneCodes = [20_404, 21_211, 21_214, 21_217, 21_265, 21_401, 21_421, 21_610, 21_614]

export const twilioAnswers: VendorAnswers = {
  read: (body) => ({
    says: words(pick(body, 'message')),
    ...(goneCodes.includes(Number(pick(body, 'code'))) && { gone: true }),
  }),
}

export function twilioRequest(
  resource: 'Messages' | 'Calls',
  { account_sid, auth_token, to, api_url = vendor }: Static<typeof Account>,
  form: Record<string, string>,
): ApiRequest {
  return {
    url: `${base(api_url)}/2010-04-01/Accounts/${account_sid}/${resource}.json`,
    headers: basic(account_sid, auth_token),
    form: { To: to, ...form },
  }
}
