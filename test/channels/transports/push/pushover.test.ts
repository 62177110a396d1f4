import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pushover } from '../../../../src/channels/transports/push/pushover.ts'
import {
  answersMean,
  asks,
  assertWhole,
  down,
  form,
  hostile,
  huge,
  hugeBody,
  incident,
  now,
  type Subject,
  up,
} from '../contract.ts'

const [token, user] = ['a'.repeat(30), 'u'.repeat(30)]
const subject: Subject = {
  transport: pushover as Subject['transport'],
  settings: (url) => ({ token, user, api_url: url }),
  taken: { body: { status: 1, request: 'x' } },
}

suite('pushover', () => {
  test('pushover: an outage is a message of high priority', async (t) => {
    const asked = await asks(t, subject, down, { device: 'phone', sound: 'siren' })
    assert.equal(asked[0]?.url, '/1/messages.json')
    const { message, ...rest } = form(asked)
    assert.deepEqual(rest, {
      token,
      user,
      title: 'nightly backup is down',
      html: '1',
      priority: '1',
      timestamp: String(Math.floor(Date.parse(down.flip.at) / 1000)),
      url: 'https://flatline.example/api/v3/checks/1b6a8d0e',
      url_title: 'Open the check',
      device: 'phone',
      sound: 'siren',
    })
    assert.match(message ?? '', /^The job ended with exit status 3\.\n\n<b>Down since:<\/b>/)
  })

  test('pushover: an emergency sounds until somebody confirms it, or its recovery cancels it', async (t) => {
    const own = { priority_down: 2 }
    const { priority, retry, expire, tags } = form(await asks(t, subject, down, own))
    assert.deepEqual([priority, retry, expire, tags], ['2', '300', '10800', incident])
    const asked = await asks(t, subject, up, own)
    assert.deepEqual(
      asked.map(({ url }) => url),
      [`/1/receipts/cancel_by_tag/${incident}.json`, '/1/messages.json'],
    )
    assert.deepEqual(form(asked.slice(0, 1)), { token })
    assert.equal(form(asked).priority, '0')
  })

  test('pushover: a message stays within 1,024 characters', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { message = '', title = '' } = form(await asks(t, subject, huge, own))
      assert.ok(message.length <= 1024 && message.length > 100 && title.length <= 250)
      assertWhole(message)
    }
  })

  test('pushover: the output of a job is text, not markup', async (t) => {
    assert.doesNotMatch(form(await asks(t, subject, hostile)).message ?? '', /<(?!\/?(b|code)\b)/)
  })
})

answersMean(subject, [
  [
    { status: 400, body: { user: 'invalid', errors: ['user identifier is invalid'], status: 0 } },
    { permanent: true, says: /user identifier is invalid/ },
  ],
  [
    { status: 400, body: { token: 'invalid', errors: ['application token is invalid'], status: 0 } },
    { permanent: true },
  ],
  [
    { status: 400, body: { errors: ['message cannot be blank'], status: 0 } },
    { retryable: false, says: /blank/ },
  ],
  [
    {
      status: 429,
      headers: { 'x-limit-app-reset': String(now / 1000 + 90) },
      body: { errors: ['over limit'], status: 0 },
    },
    { retryAfterMs: 90_000 },
  ],
  [{ status: 404 }, {}],
])
