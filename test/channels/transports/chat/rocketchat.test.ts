import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { rocketchat } from '../../../../src/channels/transports/chat/rocketchat.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, json, now, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: rocketchat,
  settings: (url) => ({ url: `${url}/hooks/1/xyz` }),
  taken: { body: { success: true } },
}

suite('rocketchat', () => {
  test('rocketchat: an outage is an attachment in red, a recovery one in green', async (t) => {
    const asked = await asks(t, subject, down, { channel: '#ops' })
    assert.equal(asked[0]?.url, '/hooks/1/xyz')
    const { alias, channel, attachments } = json(asked)
    assert.deepEqual([alias, channel], ['Flatline', '#ops'])
    assert.deepEqual([attachments[0].color, attachments[0].title], ['#a30200', 'nightly backup is down'])
    assert.match(attachments[0].text, /exit status 3/)
    assert.equal(json(await asks(t, subject, up)).attachments[0].color, '#2eb886')
  })

  test('rocketchat: a message is short, and the output of a job mentions nobody', async (t) => {
    const [asked] = await asks(t, subject, huge)
    assert.ok((asked?.body.length ?? 0) <= 8000)
    assertWhole(asked?.body ?? '')
    const { fields, title } = json(await asks(t, subject, hostile)).attachments[0]
    assert.doesNotMatch(JSON.stringify([fields, title]), /@(all|everyone|here|channel)/)
  })
})

answersMean(subject, [
  [{ status: 200, body: { success: false, error: 'invalid-channel' } }, { says: /invalid-channel/ }],
  [{ status: 404, body: { success: false, error: 'Invalid integration id or token provided.' } }, { permanent: true }],
  [
    {
      status: 429,
      headers: { 'x-ratelimit-reset': String(now + 42_000) },
      body: { success: false, error: 'Error, too many requests. Please slow down. [error-too-many-requests]' },
    },
    { retryAfterMs: 42_000 },
  ],
])
