import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ntfy } from '../../../../src/channels/transports/push/ntfy.ts'
import { answersMean, asks, assertWhole, down, huge, hugeBody, json, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: ntfy,
  settings: (url) => ({ url, topic: 'alerts', token: 'tk_secret' }),
  taken: { body: { id: 'x', event: 'message' } },
}

suite('ntfy', () => {
  test('ntfy: an outage is a message of the highest priority to a topic', async (t) => {
    const asked = await asks(t, subject, down)
    assert.deepEqual([asked[0]?.method, asked[0]?.url], ['POST', '/'])
    assert.equal(asked[0]?.headers.authorization, 'Bearer tk_secret')
    const { message, ...rest } = json(asked)
    const link = 'https://flatline.example/api/v3/checks/1b6a8d0e'
    assert.deepEqual(rest, {
      topic: 'alerts',
      title: 'nightly backup is down',
      tags: ['red_circle'],
      priority: 5,
      click: link,
      actions: [{ action: 'view', label: 'Open the check', url: link }],
    })
    assert.match(message, /^The job ended with exit status 3\.\n\nDown since: 2026-11-22 21:10:00 UTC\n/)
  })

  test('ntfy: each direction has its own priority', async (t) => {
    const own = { priority_down: 4, priority_up: 1 }
    assert.equal(json(await asks(t, subject, down, own)).priority, 4)
    const recovered = json(await asks(t, subject, up, own))
    assert.deepEqual([recovered.priority, recovered.tags], [1, ['green_circle']])
    assert.equal(json(await asks(t, subject, up)).priority, 3)
  })

  test('ntfy: a message stays within 4,096 bytes, beyond which it would become a file', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { message, title } = json(await asks(t, subject, huge, own))
      assert.ok(Buffer.byteLength(message) <= 4096 && Buffer.byteLength(message) > 2000 && title.length <= 250)
      assertWhole(message)
    }
  })
})

answersMean(subject, [
  [
    { status: 400, body: { code: 40_009, error: 'invalid request: topic invalid' } },
    { retryable: false, says: /topic/ },
  ],
  [
    { status: 403, body: { code: 40_301, error: 'forbidden' } },
    { suspect: true, says: /forbidden/ },
  ],
  [{ status: 404 }, {}],
  [{ status: 410 }, {}],
  [
    { status: 429, headers: { 'retry-after': '5' }, body: { code: 42_901, error: 'limit reached' } },
    { retryAfterMs: 5000 },
  ],
  [{ status: 507 }, {}],
])
