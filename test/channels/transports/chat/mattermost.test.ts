import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { mattermost } from '../../../../src/channels/transports/chat/mattermost.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, hugeBody, json, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: mattermost,
  settings: (url) => ({ url: `${url}/hooks/xyz` }),
  taken: { body: 'ok' },
}

suite('mattermost', () => {
  test('mattermost: an outage is an attachment in red, a recovery one in green', async (t) => {
    const asked = await asks(t, subject, down, { channel: 'town-square' })
    assert.equal(asked[0]?.url, '/hooks/xyz')
    const { channel, attachments } = json(asked)
    assert.equal(channel, 'town-square')
    const [{ color, fallback, title, text, fields }] = attachments
    assert.deepEqual([color, fallback, title], ['#a30200', 'nightly backup is down', 'nightly backup is down'])
    assert.match(text, /^The job ended with exit status 3\.\n\n\*\*Last output:\*\*\n```\ncopying…\ndisk full\n```/)
    assert.deepEqual(fields[1], { title: 'Exit status', value: '3', short: true })
    assert.equal(json(await asks(t, subject, up)).attachments[0].color, '#2eb886')
  })

  test('mattermost: a message stays within what older versions store beside a message', async (t) => {
    for (const own of [{}, hugeBody]) {
      const [asked] = await asks(t, subject, huge, own)
      assert.ok((asked?.body.length ?? 0) <= 8000)
      assertWhole(asked?.body ?? '')
    }
  })

  test('mattermost: the output of a job mentions nobody', async (t) => {
    const { fields, title, text } = json(await asks(t, subject, hostile)).attachments[0]
    assert.doesNotMatch(JSON.stringify([fields, title]), /@(all|everyone|here|channel)/)
    assert.equal(text.match(/```/g)?.length, 2)
  })
})

answersMean(subject, [
  [
    { status: 400, body: { id: 'web.incoming_webhook.invalid.app_error', message: 'Invalid webhook.' } },
    { permanent: true, says: /Invalid webhook/ },
  ],
  [{ status: 400, body: { id: 'web.incoming_webhook.text.app_error', message: 'No text' } }, { retryable: false }],
  [{ status: 404, body: { id: 'web.incoming_webhook.channel.app_error', message: 'No channel' } }, { permanent: true }],
  [
    {
      status: 404,
      body: { id: 'web.incoming_webhook.general.app_error', message: 'Failed to handle the payload', status_code: 404 },
    },
    { permanent: true, says: /Failed to handle/ },
  ],
  [{ status: 404, body: { id: 'api.context.404.app_error', message: 'Sorry' } }, {}],
])
