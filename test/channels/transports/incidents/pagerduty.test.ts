import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pagerduty } from '../../../../src/channels/transports/incidents/pagerduty.ts'
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

const routing_key = 'R'.repeat(32)
const subject: Subject = {
  transport: pagerduty,
  settings: (url) => ({ routing_key, api_url: url }),
  taken: { status: 202, body: { status: 'success', message: 'Event processed', dedup_key: incident } },
}

suite('pagerduty', () => {
  test('pagerduty: an outage triggers an incident with all the facts', async (t) => {
    const asked = await asks(t, subject, down)
    assert.equal(asked[0]?.url, '/v2/enqueue')
    assert.deepEqual(json(asked), {
      routing_key,
      dedup_key: incident,
      event_action: 'trigger',
      payload: {
        summary: 'nightly backup is down. The job ended with exit status 3.',
        source: 'nightly backup',
        severity: 'critical',
        timestamp: '2026-11-22T21:10:00.123Z',
        component: 'nightly backup',
        group: 'prod db',
        class: 'heartbeat',
        custom_details: {
          Reason: 'The job ended with exit status 3.',
          'Down since': '2026-11-22 21:10:00 UTC',
          'Exit status': '3',
          'Last heartbeat': '2026-11-22 20:05:00 UTC',
          Expected: 'every hour, with 5 minutes of grace',
          Tags: 'prod db',
          Notes: 'Runbook: https://wiki.example/backup',
          'Last output': 'copying…\ndisk full',
        },
      },
      client: 'Flatline',
      client_url: 'https://flatline.example/api/v3/checks/1b6a8d0e',
      links: [{ href: 'https://flatline.example/api/v3/checks/1b6a8d0e', text: 'Open the check' }],
    })
  })

  test('pagerduty: the recovery resolves the same incident', async (t) => {
    assert.deepEqual(json(await asks(t, subject, up)), {
      routing_key,
      dedup_key: incident,
      event_action: 'resolve',
    })
  })

  test('pagerduty: the settings may set the severity, and a lower severity of the check lowers it', async (t) => {
    assert.equal(json(await asks(t, subject, down, { severity: 'error' })).payload.severity, 'error')
    assert.equal(json(await asks(t, subject, { ...down, severity: 'warning' })).payload.severity, 'warning')
    assert.equal(json(await asks(t, subject, notice)).payload.severity, 'warning')
  })

  test('pagerduty: an event stays within the limits of summary, key and event', async (t) => {
    for (const own of [{}, hugeBody]) {
      const asked = await asks(t, subject, huge, own)
      const { payload, dedup_key } = json(asked)
      assert.ok(payload.summary.length <= 1024 && dedup_key.length <= 255)
      assert.ok(Buffer.byteLength(asked[0]?.body ?? '') <= 512_000)
      assertWhole(payload.summary)
    }
  })
})

const invalid = (...errors: string[]) => ({
  status: 400,
  body: { status: 'invalid event', message: 'Event object is invalid', errors },
})

answersMean(subject, [
  [invalid("'payload.summary' is missing or blank"), { retryable: false, says: /summary/ }],
  [invalid("'routing_key' is invalid"), { permanent: true, says: /routing_key/ }],
  [{ status: 429, body: { message: 'Requests for this service are arriving too quickly.' } }, { says: /too quickly/ }],
  [{ status: 404 }, {}],
])
