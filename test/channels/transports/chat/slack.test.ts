import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { slack } from '../../../../src/channels/transports/chat/slack.ts'
import {
  answersMean,
  asks,
  assertWhole,
  down,
  hostile,
  huge,
  hugeBody,
  json,
  notice,
  type Subject,
  tried,
  up,
} from '../contract.ts'

const subject: Subject = {
  transport: slack,
  settings: (url) => ({ url: `${url}/services/T0/B0/xyz` }),
  taken: { status: 200, body: 'ok' },
}

type Text = { type: string; text: string }
type Block = { type: string; text?: Text; fields?: Text[] }

suite('slack', () => {
  test('slack: an outage is a title and an attachment of blocks in the colour of danger', async (t) => {
    const asked = await asks(t, subject, down)
    assert.deepEqual([asked[0]?.method, asked[0]?.url], ['POST', '/services/T0/B0/xyz'])
    assert.equal(asked[0]?.headers['content-type'], 'application/json')
    assert.deepEqual(json(asked), {
      text: '*nightly backup is down*',
      attachments: [
        {
          color: 'danger',
          fallback: 'The job ended with exit status 3.',
          blocks: [
            { type: 'section', text: { type: 'mrkdwn', text: 'The job ended with exit status 3.' } },
            {
              type: 'section',
              fields: [
                { type: 'mrkdwn', text: '*Down since*\n2026-11-22 21:10:00 UTC' },
                { type: 'mrkdwn', text: '*Exit status*\n3' },
                { type: 'mrkdwn', text: '*Last heartbeat*\n2026-11-22 20:05:00 UTC' },
                { type: 'mrkdwn', text: '*Expected*\nevery hour, with 5 minutes of grace' },
                { type: 'mrkdwn', text: '*Tags*\nprod db' },
                { type: 'mrkdwn', text: '*Notes*\nRunbook: https://wiki.example/backup' },
              ],
            },
            { type: 'section', text: { type: 'mrkdwn', text: '*Last output*\n```\ncopying…\ndisk full\n```' } },
            {
              type: 'section',
              text: { type: 'mrkdwn', text: '<https://flatline.example/api/v3/checks/1b6a8d0e|Open the check>' },
            },
          ],
        },
      ],
    })
  })

  test('slack: colours follow the severity', async (t) => {
    const colour = async (message: Parameters<typeof asks>[2]) =>
      json(await asks(t, subject, message)).attachments[0].color
    assert.deepEqual(
      [await colour(up), await colour(notice), await colour(tried), await colour({ ...down, severity: 'warning' })],
      ['good', 'warning', '#439FE0', 'warning'],
    )
  })

  test('slack: a message stays within the limits of texts, fields and blocks', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { text, attachments } = json(await asks(t, subject, huge, own))
      const blocks = attachments[0].blocks as Block[]
      assert.ok(text.length <= 3002 && blocks.length <= 50)
      for (const block of blocks) {
        assert.ok((block.fields?.length ?? 0) <= 10)
        if (block.text) assert.ok(block.text.text.length <= 3000)
        for (const field of block.fields ?? []) assert.ok(field.text.length <= 2000)
        for (const part of [block.text, ...(block.fields ?? [])]) assertWhole(part?.text ?? '')
      }
    }
  })

  test('slack: the output of a job mentions nobody and ends no code block', async (t) => {
    const body = JSON.stringify(json(await asks(t, subject, hostile)))
    assert.doesNotMatch(body, /<!/)
    assert.doesNotMatch(body, /<(?!https:\/\/flatline)/)
    assert.equal(body.match(/```/g)?.length, 2)
  })
})

answersMean(subject, [
  [
    { status: 400, body: 'invalid_blocks' },
    { retryable: false, says: /invalid_blocks/ },
  ],
  [{ status: 400, body: 'invalid_token' }, { permanent: true }],
  [
    { status: 403, body: 'action_prohibited' },
    { suspect: true, says: /action_prohibited/ },
  ],
  [
    { status: 404, body: 'no_service' },
    { permanent: true, says: /no_service/ },
  ],
  [
    { status: 410, body: 'channel_is_archived' },
    { permanent: true, says: /channel_is_archived/ },
  ],
  [{ status: 429, headers: { 'retry-after': '30' }, body: 'rate_limited' }, { retryAfterMs: 30_000 }],
  [{ status: 404, body: 'no_team' }, { permanent: true }],
  [{ status: 404, body: 'channel_not_found' }, { permanent: true }],
  [{ status: 404, body: 'not_found' }, { says: /not_found/ }],
  [{ status: 500, body: 'rollup_error' }, { says: /rollup_error/ }],
])
