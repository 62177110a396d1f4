import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { call } from '../../../src/channels/transports/call.ts'
import { sms } from '../../../src/channels/transports/sms.ts'
import { answersMean, asks, assertWhole, down, form, hostile, huge, hugeBody, type Subject, up } from './contract.ts'

const account_sid = `AC${'0'.repeat(32)}`
const settings = (url: string) => ({
  account_sid,
  auth_token: 'secret',
  from: '+15005550006',
  to: '+4915112345678',
  api_url: url,
})
const texting: Subject = { transport: sms, settings, taken: { status: 201, body: { sid: 'SM1', status: 'queued' } } }
const calling: Subject = { transport: call, settings, taken: { status: 201, body: { sid: 'CA1', status: 'queued' } } }
const authorization = `Basic ${Buffer.from(`${account_sid}:secret`).toString('base64')}`

suite('sms', () => {
  test('sms: an outage is a text message', async (t) => {
    const asked = await asks(t, texting, down)
    assert.equal(asked[0]?.url, `/2010-04-01/Accounts/${account_sid}/Messages.json`)
    assert.equal(asked[0]?.headers.authorization, authorization)
    const { Body, ...rest } = form(asked)
    assert.deepEqual(rest, { To: '+4915112345678', From: '+15005550006' })
    assert.match(
      Body ?? '',
      /^nightly backup is down\nThe job ended with exit status 3\.\n\nDown since: 2026-11-22 21:10:00 UTC\n/,
    )
    assert.match(
      form(await asks(t, texting, up)).Body ?? '',
      /Was down for: 1 hour 4 minutes, since 2026-11-22 21:10:00 UTC/,
    )
  })

  test('sms: the message may be sent by a messaging service', async (t) => {
    const from = `MG${'1'.repeat(32)}`
    const sent = form(await asks(t, texting, down, { from }))
    assert.deepEqual([sent.MessagingServiceSid, sent.From], [from, undefined])
  })

  test('sms: a message is at most three parts long', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { Body = '' } = form(await asks(t, texting, huge, own))
      assert.ok(Body.length <= 459)
      assertWhole(Body)
    }
  })
})

suite('call', () => {
  test('call: an outage is read aloud twice', async (t) => {
    const asked = await asks(t, calling, down)
    assert.equal(asked[0]?.url, `/2010-04-01/Accounts/${account_sid}/Calls.json`)
    assert.equal(asked[0]?.headers.authorization, authorization)
    const { Twiml, ...rest } = form(asked)
    assert.deepEqual(rest, { To: '+4915112345678', From: '+15005550006' })
    const say = '<Say>Flatline alert. nightly backup is down. The job ended with exit status 3.</Say>'
    assert.equal(Twiml, `<?xml version="1.0" encoding="UTF-8"?><Response>${say}<Pause length="1"/>${say}</Response>`)
  })

  test('call: the TwiML stays within 4,000 characters, and the output of a job is text', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { Twiml = '' } = form(await asks(t, calling, huge, own))
      assert.ok(Twiml.length <= 4000)
      assertWhole(Twiml)
    }
    const { Twiml = '' } = form(await asks(t, calling, hostile))
    assert.equal(Twiml.match(/<Say>/g)?.length, 2)
    assert.match(Twiml, /&lt;\/Say&gt;&amp;&quot;/)
  })
})

const error = (status: number, code: number, message: string) => ({ status, body: { code, message, status } })

for (const subject of [texting, calling])
  answersMean(subject, [
    [
      error(400, 21_211, "The 'To' number is not a valid phone number."),
      { permanent: true, says: /not a valid phone/ },
    ],
    [error(400, 21_610, 'Attempt to send to unsubscribed recipient'), { permanent: true, says: /unsubscribed/ }],
    [error(400, 21_602, "'Body' is required"), { retryable: false }],
    [error(401, 20_003, 'Authenticate'), { suspect: true }],
    [error(404, 20_404, 'The requested resource was not found'), { permanent: true }],
    [error(429, 20_429, 'Too Many Requests'), { says: /Too Many/ }],
  ])
