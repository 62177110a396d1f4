import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { telegram } from '../../../../src/channels/transports/chat/telegram.ts'
import {
  answersMean,
  asks,
  assertWhole,
  contextWith,
  down,
  fakeDestination,
  hostile,
  huge,
  hugeBody,
  json,
  type Subject,
  up,
} from '../contract.ts'
import { visible } from '../rendered.ts'

const token = '123456:ABC-DEF_ghi'
const subject: Subject = {
  transport: telegram as Subject['transport'],
  settings: (url) => ({ token, chat_id: '-100123', api_url: url }),
  taken: { body: { ok: true, result: { message_id: 1 } } },
}

/** As Telegram counts: after its tags and entities are read. */
const read = (html: string) =>
  html
    .replace(/<[^>]+>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')

suite('telegram', () => {
  test('telegram: an outage is one message in HTML', async (t) => {
    const asked = await asks(t, subject, down, { thread_id: 5 })
    assert.equal(asked[0]?.url, `/bot${token}/sendMessage`)
    const { text, ...rest } = json(asked)
    assert.deepEqual(rest, {
      chat_id: '-100123',
      parse_mode: 'HTML',
      link_preview_options: { is_disabled: true },
      disable_notification: false,
      message_thread_id: 5,
    })
    assert.match(
      text,
      /^🔴 <b>nightly backup is down<\/b>\nThe job ended with exit status 3\.\n\n<b>Down since:<\/b> 2026-11-22/,
    )
    assert.match(text, /<code>copying…\ndisk full<\/code>/)
  })

  test('telegram: a recovery is silent if the settings say so', async (t) => {
    const loud = json(await asks(t, subject, up))
    assert.deepEqual([loud.disable_notification, loud.text.startsWith('🟢')], [false, true])
    assert.equal(json(await asks(t, subject, up, { silent_up: true })).disable_notification, true)
    assert.equal(json(await asks(t, subject, down, { silent_up: true })).disable_notification, false)
  })

  test('telegram: a message stays within 4,096 characters, without half of a tag or entity', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { text } = json(await asks(t, subject, huge, own))
      assert.ok(text.length <= 4096 && text.length > 2000)
      assertWhole(text)
      assert.equal(text.match(/<b>/g)?.length, text.match(/<\/b>/g)?.length)
      assert.doesNotMatch(read(text), /&(amp|lt|gt|quot);?/)
    }
  })

  test('telegram: the output of a job is text, not markup', async (t) => {
    const { text } = json(await asks(t, subject, hostile))
    assert.doesNotMatch(text, /<(?!\/?(b|code|a)\b)/)
    assert.match(visible(read(text)), /<!channel> @everyone <b>\*bold\*<\/b>/)
  })

  test('telegram: the transport follows a group to its new number', async (t) => {
    const { url, asked } = await fakeDestination(t, ({ body }) =>
      JSON.parse(body).chat_id === '-1009'
        ? subject.taken
        : {
            status: 400,
            body: { ok: false, description: 'group chat was upgraded', parameters: { migrate_to_chat_id: -1009 } },
          },
    )
    assert.equal(await subject.transport.send(down, subject.settings(url) as never, contextWith()), 'sent')
    assert.deepEqual(
      asked.map(({ body }) => JSON.parse(body).chat_id),
      ['-100123', '-1009'],
    )
  })
})

const error = (error_code: number, description: string, parameters?: object) => ({
  status: error_code,
  body: { ok: false, error_code, description, ...(parameters && { parameters }) },
})

answersMean(subject, [
  [error(400, 'Bad Request: chat not found'), { permanent: true, says: /chat not found/ }],
  [error(400, "Bad Request: can't parse entities"), { retryable: false, says: /parse entities/ }],
  [error(401, 'Unauthorized'), { suspect: true }],
  [error(403, 'Forbidden: bot was blocked by the user'), { permanent: true, suspect: true, says: /blocked/ }],
  [error(404, 'Not Found'), { permanent: true }],
  [error(429, 'Too Many Requests: retry after 35', { retry_after: 35 }), { retryAfterMs: 35_000 }],
])
