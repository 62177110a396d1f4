import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { msteams } from '../../../../src/channels/transports/chat/msteams.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, hugeBody, json, type Subject, up } from '../contract.ts'

const subject: Subject = {
  transport: msteams,
  settings: (url) => ({ url: `${url}/workflows/abc/triggers/manual/paths/invoke?sig=xyz` }),
  taken: { status: 202 },
}

suite('msteams', () => {
  test('msteams: an outage is an adaptive card for a workflow', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/workflows/abc/triggers/manual/paths/invoke?sig=xyz')
    const { type, attachments } = json(asked)
    assert.equal(type, 'message')
    const [{ contentType, contentUrl, content }] = attachments
    assert.deepEqual([contentType, contentUrl], ['application/vnd.microsoft.card.adaptive', null])
    assert.deepEqual([content.type, content.version], ['AdaptiveCard', '1.4'])
    const [head, text, facts, label, output] = content.body
    assert.deepEqual([head.style, head.items[0].text], ['attention', 'nightly backup is down'])
    assert.equal(text.text, 'The job ended with exit status 3.')
    assert.deepEqual(facts.facts[0], { title: 'Down since', value: '2026-11-22 21:10:00 UTC' })
    assert.equal(label.text, 'Last output')
    assert.deepEqual(output.inlines, [
      { type: 'TextRun', text: 'copying…\ndisk full', fontType: 'Monospace', size: 'Small' },
    ])
    assert.deepEqual(content.actions, [
      { type: 'Action.OpenUrl', title: 'Open the check', url: 'https://flatline.example/api/v3/checks/1b6a8d0e' },
    ])
    assert.equal(json(await asks(t, subject, up)).attachments[0].content.body[0].style, 'good')
  })

  test('msteams: a message stays within 28 KB', async (t) => {
    for (const own of [{}, hugeBody, { body: '\u0800'.repeat(4000) }]) {
      const [asked] = await asks(t, subject, huge, own)
      assert.ok(Buffer.byteLength(asked?.body ?? '') <= 28_672)
      assertWhole(asked?.body ?? '')
    }
  })

  test('msteams: the output of a job is text, not markup', async (t) => {
    const card = json(await asks(t, subject, hostile)).attachments[0].content
    assert.match(card.body[0].items[0].text, /\\\*bold\\\*.*\\\[x\\\]\(/)
  })
})

answersMean(subject, [
  [
    { status: 400, body: { error: { code: 'X', message: 'not a card' } } },
    { retryable: false, says: /not a card/ },
  ],
  [
    { status: 404, body: { error: { code: 'WorkflowNotFound', message: 'gone' } } },
    { permanent: true, says: /gone/ },
  ],
  [{ status: 404, body: { error: { code: 'WorkflowTriggerNotFound', message: 'gone' } } }, { permanent: true }],
  [{ status: 404, body: { error: { code: 'ResourceNotFound', message: 'gone' } } }, {}],
])
