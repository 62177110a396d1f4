import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pushbullet } from '../../../../src/channels/transports/push/pushbullet.ts'
import { answersMean, asks, assertWhole, down, huge, hugeBody, json, now, type Subject } from '../contract.ts'

const subject: Subject = {
  transport: pushbullet,
  settings: (url) => ({ token: 'o.secret', api_url: url }),
  taken: { body: { iden: 'x', active: true } },
}

suite('pushbullet', () => {
  test('pushbullet: an outage is a note, with the id of the delivery', async (t) => {
    const asked = await asks(t, subject, down, { device_iden: 'dev1' })
    assert.equal(asked[0]?.url, '/v2/pushes')
    assert.equal(asked[0]?.headers['access-token'], 'o.secret')
    const { body, ...rest } = json(asked)
    assert.deepEqual(rest, {
      type: 'note',
      title: 'nightly backup is down',
      guid: down.delivery.id,
      device_iden: 'dev1',
    })
    assert.match(body, /^The job ended with exit status 3\.\n\nDown since: 2026/)
  })

  test('pushbullet: a note is short', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { body } = json(await asks(t, subject, huge, own))
      assert.ok(body.length <= 4000)
      assertWhole(body)
    }
  })
})

answersMean(subject, [
  [
    { status: 400, body: { error: { message: 'The param is bad' } } },
    { retryable: false, says: /param is bad/ },
  ],
  [
    { status: 401, body: { error: { message: 'Access token is missing or invalid.' } } },
    { suspect: true, says: /invalid/ },
  ],
  [{ status: 429, headers: { 'x-ratelimit-reset': String(now / 1000 + 10) } }, { retryAfterMs: 10_000 }],
  [{ status: 404 }, {}],
])
