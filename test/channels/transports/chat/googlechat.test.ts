import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { googlechat } from '../../../../src/channels/transports/chat/googlechat.ts'
import { answersMean, asks, assertWhole, down, hostile, huge, hugeBody, json, type Subject } from '../contract.ts'

const subject: Subject = {
  transport: googlechat,
  settings: (url) => ({ url: `${url}/v1/spaces/AAA/messages?key=k&token=t` }),
  taken: { body: { name: 'spaces/AAA/messages/1' } },
}

suite('googlechat', () => {
  test('googlechat: an outage is a card, with a text for notifications', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/v1/spaces/AAA/messages?key=k&token=t')
    const { fallbackText, cardsV2 } = json(asked)
    assert.equal(fallbackText, 'nightly backup is down')
    const { header, sections } = cardsV2[0].card
    assert.equal(header.title, '🔴 nightly backup is down')
    const { widgets } = sections[0]
    assert.deepEqual(widgets[0], { textParagraph: { text: 'The job ended with exit status 3.' } })
    assert.deepEqual(widgets[1], {
      decoratedText: { topLabel: 'Down since', text: '2026-11-22 21:10:00 UTC', wrapText: true },
    })
    assert.deepEqual(widgets.at(-2), { textParagraph: { text: '<b>Last output</b><br>copying…<br>disk full' } })
    assert.deepEqual(widgets.at(-1).buttonList.buttons[0].onClick, {
      openLink: { url: 'https://flatline.example/api/v3/checks/1b6a8d0e' },
    })
  })

  test('googlechat: a message stays within 32,000 bytes', async (t) => {
    for (const own of [{}, hugeBody]) {
      const [asked] = await asks(t, subject, huge, own)
      assert.ok(Buffer.byteLength(asked?.body ?? '') <= 32_000)
      assertWhole(asked?.body ?? '')
    }
  })

  test('googlechat: the output of a job mentions nobody', async (t) => {
    const { cardsV2 } = json(await asks(t, subject, hostile))
    const { widgets } = cardsV2[0].card.sections[0]
    assert.doesNotMatch(JSON.stringify(widgets), /<(?!\/?(b|br)>)/)
  })
})

answersMean(subject, [
  [
    { status: 400, body: { error: { message: 'Invalid JSON payload' } } },
    { retryable: false, says: /Invalid JSON/ },
  ],
  [
    { status: 403, body: { error: { message: 'Permission denied' } } },
    { suspect: true, says: /Permission/ },
  ],
  [{ status: 404, body: { error: { status: 'NOT_FOUND' } } }, { permanent: true }],
  [{ status: 429, body: { error: { status: 'RESOURCE_EXHAUSTED', message: 'Quota' } } }, { says: /Quota/ }],
])
