import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { discord } from '../../../../src/channels/transports/chat/discord.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, hugeBody, json, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: discord,
  settings: (url) => ({ url: `${url}/api/webhooks/1/token` }),
  taken: { status: 204 },
}

type Embed = { title: string; description: string; fields: { name: string; value: string }[] }

suite('discord', () => {
  test('discord: an outage is an embed in red, a recovery one in green', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/api/webhooks/1/token')
    const { embeds, allowed_mentions } = json(asked)
    assert.deepEqual(allowed_mentions, { parse: [] })
    const [{ title, color, timestamp, description, fields }] = embeds
    assert.deepEqual([title, color, timestamp], ['nightly backup is down', 0xa30200, '2026-11-22T21:10:00.123Z'])
    assert.equal(
      description,
      'The job ended with exit status 3.\n\n**Last output:**\n```\ncopying…\ndisk full\n```\n\n[Open the check](https://flatline.example/api/v3/checks/1b6a8d0e)',
    )
    assert.deepEqual(fields.slice(0, 2), [
      { name: 'Down since', value: '2026-11-22 21:10:00 UTC', inline: true },
      { name: 'Exit status', value: '3', inline: true },
    ])
    assert.equal(json(await asks(t, subject, up)).embeds[0].color, 0x2eb886)
  })

  test('discord: a message stays within the limits of an embed and of its parts', async (t) => {
    for (const own of [{}, hugeBody]) {
      const [{ title, description, fields }] = json(await asks(t, subject, huge, own)).embeds as [Embed]
      assert.ok(title.length <= 256 && description.length <= 4096 && fields.length <= 25)
      for (const { name, value } of fields) assert.ok(name.length <= 256 && value.length > 0 && value.length <= 1024)
      const all = fields.reduce((sum, { name, value }) => sum + name.length + value.length, 0)
      assert.ok(title.length + description.length + all <= 6000)
      for (const text of [title, description, ...fields.map(({ value }) => value)]) assertWhole(text)
    }
  })

  test('discord: the output of a job is text, not markup', async (t) => {
    const [{ title, description }] = json(await asks(t, subject, hostile)).embeds as [Embed]
    assert.match(title, /\\\*bold\\\*/)
    assert.match(title, /\\\[x\\\]\(http/)
    assert.equal(description.match(/```/g)?.length, 2)
  })
})

answersMean(subject, [
  [
    { status: 400, body: { message: 'Invalid Form Body', code: 50_035 } },
    { retryable: false, says: /Invalid Form Body/ },
  ],
  [
    { status: 401, body: { message: 'Invalid Webhook Token', code: 50_027 } },
    { permanent: true, suspect: true },
  ],
  [
    { status: 404, body: { message: 'Unknown Webhook', code: 10_015 } },
    { permanent: true, says: /Unknown Webhook/ },
  ],
  [
    {
      status: 429,
      headers: { 'retry-after': '1' },
      body: { message: 'You are being rate limited.', retry_after: 0.65 },
    },
    { retryAfterMs: 650 },
  ],
  [{ status: 410 }, {}],
])
