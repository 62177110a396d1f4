import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { signal } from '../../../../src/channels/transports/chat/signal.ts'
import { answersMean, asks, assertWhole, down, huge, hugeBody, json, type Subject } from '../contract.ts'

const subject: Subject = {
  transport: signal,
  settings: (url) => ({ api_url: `${url}/`, number: '+4915112345678', recipients: ['+4915187654321', 'group.abc='] }),
  taken: { status: 201, body: { timestamp: '1' } },
}

suite('signal', () => {
  test('signal: an outage is a plain message to numbers and groups', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/v2/send')
    assert.equal(asked[0]?.headers.authorization, undefined)
    const { message, ...rest } = json(asked)
    assert.deepEqual(rest, { number: '+4915112345678', recipients: ['+4915187654321', 'group.abc='] })
    assert.match(message, /^🔴 nightly backup is down\nThe job ended with exit status 3\.\n\nDown since: 2026/)
    assert.match(message, /Last output:\ncopying…\ndisk full\n\nOpen the check: https/)
  })

  test('signal: the transport logs in if user and password are set', async (t) => {
    const asked = await asks(t, subject, down, { user: 'me', password: 'pw' })
    assert.equal(asked[0]?.headers.authorization, `Basic ${Buffer.from('me:pw').toString('base64')}`)
    const settings = { ...subject.settings('http://a.example'), user: 'me' }
    assert.equal(signal.problem?.(settings as never)?.field, 'password')
  })

  test('signal: a message stays within 2,000 characters', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { message } = json(await asks(t, subject, huge, own))
      assert.ok(message.length <= 2000)
      assertWhole(message)
    }
  })
})

answersMean(subject, [
  [
    { status: 400, body: { error: 'Invalid group id' } },
    { retryable: false, says: /Invalid group id/ },
  ],
  [{ status: 400, body: { error: 'Failed to send message: Unregistered user "+49"' } }, { permanent: true }],
  [{ status: 429, headers: { 'retry-after': '60' }, body: { error: 'Rate limit' } }, { retryAfterMs: 60_000 }],
  [{ status: 404 }, {}],
])
