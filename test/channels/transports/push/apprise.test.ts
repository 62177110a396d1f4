import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { apprise } from '../../../../src/channels/transports/push/apprise.ts'
import { answersMean, asks, assertWhole, down, huge, hugeBody, json, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: apprise,
  settings: (url) => ({ url: `${url}/`, key: 'ops' }),
  taken: { status: 200, body: { error: null } },
}

suite('apprise', () => {
  test('apprise: an outage is a failure, sent to the configuration of a key', async (t) => {
    const asked = await asks(t, subject, down, { tag: 'oncall' })
    assert.equal(asked[0]?.url, '/notify/ops')
    const { body, ...rest } = json(asked)
    assert.deepEqual(rest, { title: 'nightly backup is down', type: 'failure', format: 'markdown', tag: 'oncall' })
    assert.match(body, /^The job ended with exit status 3\.\n\n\*\*Down since:\*\*/)
    assert.equal(json(await asks(t, subject, up)).type, 'success')
  })

  test('apprise: the settings may contain the addresses', async (t) => {
    const given: Subject = { ...subject, settings: (url) => ({ url, urls: 'mailto://me:pw@example.org' }) }
    const asked = await asks(t, given, down)
    assert.deepEqual([asked[0]?.url, json(asked).urls], ['/notify', 'mailto://me:pw@example.org'])
    const field = (settings: object) => apprise.problem?.({ url: 'http://a.example', ...settings })?.field
    assert.deepEqual(
      [field({}), field({ key: 'a', urls: 'b' }), field({ urls: 'b', tag: 'c' })],
      ['key', 'urls', 'tag'],
    )
  })

  test('apprise: a message stays within the limits', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { body } = json(await asks(t, subject, huge, own))
      assert.ok(body.length <= 8000)
      assertWhole(body)
    }
  })
})

answersMean(subject, [
  [{ status: 204 }, { says: /nothing is configured/ }],
  [
    { status: 400, body: { error: 'Bad FORM Payload provided.' } },
    { retryable: false, says: /Bad FORM/ },
  ],
  [{ status: 404 }, {}],
  [{ status: 424, body: { error: 'One or more notifications could not be sent.' } }, { says: /could not be sent/ }],
])
