import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { zulip } from '../../../../src/channels/transports/chat/zulip.ts'
import { answersMean, asks, assertWhole, down, form, hostile, huge, hugeBody, type Subject } from '../contract.ts'

const subject: Subject = {
  transport: zulip,
  settings: (url) => ({ site: url, bot_email: 'bot@example.org', api_key: 'secret', to: 'ops' }),
  taken: { body: { result: 'success', msg: '', id: 1 } },
}

suite('zulip', () => {
  test('zulip: an outage is a message to its own topic', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/api/v1/messages')
    assert.equal(asked[0]?.headers.authorization, `Basic ${Buffer.from('bot@example.org:secret').toString('base64')}`)
    assert.equal(asked[0]?.headers['content-type'], 'application/x-www-form-urlencoded')
    const { type, to, topic, content } = form(asked)
    assert.deepEqual([type, to, topic], ['stream', 'ops', 'nightly backup'])
    assert.match(content ?? '', /^🔴 \*\*nightly backup is down\*\*\n\nThe job ended with exit status 3\./)
  })

  test('zulip: a message to a person has no topic', async (t) => {
    const sent = form(await asks(t, subject, down, { type: 'direct', to: 'me@example.org', topic: 'x' }))
    assert.deepEqual([sent.type, sent.to, sent.topic], ['direct', '["me@example.org"]', undefined])
  })

  test('zulip: a message stays within the limits of topics and messages', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { topic = '', content = '' } = form(await asks(t, subject, huge, own))
      assert.ok(topic.length <= 60 && content.length <= 10_000)
      assertWhole(topic)
      assertWhole(content)
    }
  })

  test('zulip: the output of a job mentions nobody', async (t) => {
    const { content = '' } = form(await asks(t, subject, hostile))
    assert.doesNotMatch(content, /@(\*\*all|here|everyone)/)
    assert.equal(content.match(/```/g)?.length, 2)
  })
})

answersMean(subject, [
  [
    { status: 400, body: { result: 'error', code: 'STREAM_DOES_NOT_EXIST', msg: "Channel 'ops' does not exist" } },
    { permanent: true, says: /does not exist/ },
  ],
  [
    { status: 400, body: { result: 'error', code: 'BAD_REQUEST', msg: 'Message must not be empty' } },
    { retryable: false },
  ],
  [{ status: 401, body: { result: 'error', code: 'INVALID_API_KEY', msg: 'Invalid API key' } }, { suspect: true }],
  [
    { status: 429, body: { code: 'RATE_LIMIT_HIT', msg: 'API usage exceeded', 'retry-after': 28.7 } },
    { retryAfterMs: 28_700 },
  ],
])
