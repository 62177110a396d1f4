import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { matrix } from '../../../../src/channels/transports/chat/matrix.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, hugeBody, json, type Subject } from '../contract.ts'

const subject: Subject = {
  transport: matrix,
  settings: (url) => ({ homeserver: `${url}/`, token: 'syt_secret', room_id: '!abc:example.org' }),
  taken: { body: { event_id: '$1' } },
}

suite('matrix', () => {
  test('matrix: an outage is an event in plain text and HTML, with the id of the delivery', async (t) => {
    const asked = await asks(t, subject, down)
    assert.deepEqual(
      [asked[0]?.method, asked[0]?.url],
      ['PUT', `/_matrix/client/v3/rooms/!abc%3Aexample.org/send/m.room.message/${down.delivery.id}`],
    )
    assert.equal(asked[0]?.headers.authorization, 'Bearer syt_secret')
    const { body, formatted_body, ...rest } = json(asked)
    assert.deepEqual(rest, { msgtype: 'm.text', format: 'org.matrix.custom.html', 'm.mentions': {} })
    assert.match(body, /^🔴 nightly backup is down\nThe job ended with exit status 3\.\n\nDown since: 2026/)
    assert.match(formatted_body, /^🔴 <strong>nightly backup is down<\/strong><br>The job/)
    assert.match(formatted_body, /<pre>copying…\ndisk full<\/pre>/)
  })

  test('matrix: a message stays within the size of an event', async (t) => {
    for (const own of [{}, hugeBody]) {
      const [asked] = await asks(t, subject, huge, own)
      assert.ok(Buffer.byteLength(asked?.body ?? '') <= 60_000)
      assertWhole(asked?.body ?? '')
    }
  })

  test('matrix: the output of a job is text, not markup', async (t) => {
    const { formatted_body } = json(await asks(t, subject, hostile))
    assert.doesNotMatch(formatted_body, /<(?!\/?(strong|br|pre|a)\b)/)
  })
})

answersMean(subject, [
  [
    { status: 401, body: { errcode: 'M_UNKNOWN_TOKEN', error: 'Unknown token' } },
    { permanent: true, suspect: true },
  ],
  [
    { status: 403, body: { errcode: 'M_FORBIDDEN', error: 'not in room' } },
    { permanent: true, suspect: true, says: /not in room/ },
  ],
  [{ status: 404, body: { errcode: 'M_UNRECOGNIZED' } }, {}],
  [{ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 2000 } }, { retryAfterMs: 2000 }],
])
