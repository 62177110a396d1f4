import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { gotify } from '../../../../src/channels/transports/push/gotify.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, hugeBody, json, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: gotify,
  settings: (url) => ({ url: `${url}/`, token: 'AbCdEf' }),
  taken: { body: { id: 1, appid: 1 } },
}

suite('gotify', () => {
  test('gotify: an outage is a message in markdown', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/message')
    assert.equal(asked[0]?.headers['x-gotify-key'], 'AbCdEf')
    const { title, message, priority, extras } = json(asked)
    assert.deepEqual([title, priority], ['nightly backup is down', 8])
    assert.match(message, /^The job ended with exit status 3\.\n\n\*\*Down since:\*\* 2026/)
    assert.deepEqual(extras['client::display'], { contentType: 'text/markdown' })
    assert.equal(extras['client::notification'].click.url, 'https://flatline.example/api/v3/checks/1b6a8d0e')
  })

  test('gotify: each direction has its own priority', async (t) => {
    assert.equal(json(await asks(t, subject, up)).priority, 5)
    assert.equal(json(await asks(t, subject, up, { priority_up: 0 })).priority, 0)
    assert.equal(json(await asks(t, subject, down, { priority_down: 10 })).priority, 10)
  })

  test('gotify: a message is short, and the output of a job is text', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { message } = json(await asks(t, subject, huge, own))
      assert.ok(message.length <= 8000)
      assertWhole(message)
    }
    assert.equal(json(await asks(t, subject, hostile)).message.match(/```/g)?.length, 2)
  })
})

answersMean(subject, [
  [
    {
      status: 401,
      body: { error: 'Unauthorized', errorCode: 401, errorDescription: 'you need to provide a valid access token' },
    },
    { suspect: true, says: /valid access token/ },
  ],
  [{ status: 404, body: { error: 'Not Found', errorDescription: 'page not found' } }, { says: /page not found/ }],
  [{ status: 410 }, {}],
])
