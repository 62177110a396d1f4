import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { jsm } from '../../../../src/channels/transports/incidents/jsm.ts'
import { opsgenie } from '../../../../src/channels/transports/incidents/opsgenie.ts'
import { answersMean, asks, assertWhole, down, huge, hugeBody, incident, json, type Subject, up } from '../contract.ts'

const subjects: Subject[] = [opsgenie, jsm].map((transport) => ({
  transport,
  settings: (url) => ({ api_key: 'secret', api_url: url }),
  taken: { status: 202, body: { result: 'Request will be processed', took: 0.1, requestId: 'x' } },
}))

for (const subject of subjects) {
  suite(subject.transport.kind, () => {
    test('opsgenie and jsm: an outage creates an alert with all the facts', async (t) => {
      const asked = await asks(t, subject, down)
      assert.equal(asked[0]?.url, '/v2/alerts')
      assert.equal(asked[0]?.headers.authorization, 'GenieKey secret')
      const { description, details, ...rest } = json(asked)
      assert.deepEqual(rest, {
        message: 'nightly backup is down',
        alias: incident,
        priority: 'P1',
        source: 'Flatline',
        entity: 'nightly backup',
        tags: ['prod', 'db'],
      })
      assert.match(description, /^The job ended with exit status 3\..*Last output:\ncopying…\ndisk full/s)
      assert.equal(details['Exit status'], '3')
    })

    test('opsgenie and jsm: the recovery closes the alert by its alias', async (t) => {
      const asked = await asks(t, subject, up)
      assert.equal(asked[0]?.url, `/v2/alerts/${incident}/close?identifierType=alias`)
      const { source, note } = json(asked)
      assert.equal(source, 'Flatline')
      assert.match(note, /^nightly backup is up again\n/)
    })

    test('opsgenie and jsm: the settings may set the priority', async (t) => {
      assert.equal(json(await asks(t, subject, down, { priority: 'P2' })).priority, 'P2')
    })

    test('opsgenie and jsm: an alert stays within the limits of its parts', async (t) => {
      for (const own of [{}, hugeBody]) {
        const { message, alias, description, entity, tags, details } = json(await asks(t, subject, huge, own))
        assert.ok(message.length <= 130 && alias.length <= 512 && description.length <= 15_000 && entity.length <= 512)
        assert.ok(tags.length <= 20 && tags.every((tag: string) => tag.length <= 50))
        assert.ok(Object.entries(details).flat().join('').length <= 8000)
        for (const text of [message, description, entity, ...tags]) assertWhole(text)
      }
    })
  })

  answersMean(subject, [
    [
      { status: 401, body: { message: 'Key format is not valid!' } },
      { suspect: true, says: /Key format/ },
    ],
    [{ status: 403, body: { message: 'You are not authorized' } }, { suspect: true }],
    [
      { status: 422, body: { message: 'Request body is not processable' } },
      { retryable: false, says: /processable/ },
    ],
    [{ status: 429, body: { message: 'You are making too many requests!' } }, { says: /too many/ }],
    [{ status: 404 }, {}],
  ])
}
