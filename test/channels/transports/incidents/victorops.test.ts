import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { victorops } from '../../../../src/channels/transports/incidents/victorops.ts'
import {
  answersMean,
  asks,
  assertWhole,
  down,
  huge,
  hugeBody,
  incident,
  json,
  notice,
  type Subject,
  up,
} from '../contract.ts'

const subject: Subject = {
  transport: victorops,
  settings: (url) => ({ url: `${url}/integrations/generic/20131114/alert/key/ops` }),
  taken: { body: { result: 'success', entity_id: incident } },
}

suite('victorops', () => {
  test('victorops: an outage is CRITICAL, its recovery a RECOVERY of the same entity', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/integrations/generic/20131114/alert/key/ops')
    const { state_message, ...rest } = json(asked)
    assert.deepEqual(rest, {
      message_type: 'CRITICAL',
      entity_id: incident,
      entity_display_name: 'nightly backup is down',
      state_start_time: Math.floor(Date.parse(down.flip.at) / 1000),
      monitoring_tool: 'Flatline',
    })
    assert.match(state_message, /^The job ended with exit status 3\..*disk full/s)
    const recovery = json(await asks(t, subject, up))
    assert.deepEqual([recovery.message_type, recovery.entity_id], ['RECOVERY', incident])
    assert.equal(json(await asks(t, subject, notice)).message_type, 'WARNING')
  })

  test('victorops: an event stays within 20,000 characters', async (t) => {
    for (const own of [{}, hugeBody]) {
      const { state_message, entity_id } = json(await asks(t, subject, huge, own))
      assert.ok(state_message.length <= 20_000 && entity_id.length <= 512)
      assertWhole(state_message)
    }
  })
})

answersMean(subject, [
  [{ status: 200, body: { result: 'failure', messages: ['Missing message_type'] } }, { says: /Missing message_type/ }],
  [{ status: 404, body: { result: 'failure', messages: ['unknown'] } }, { says: /unknown/ }],
])
