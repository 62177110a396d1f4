import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Severity } from '../../../src/messages/message.ts'
import { build } from '../../helper.ts'
import { createDatabase, sql } from '../../postgres.ts'

test('a notice about the service goes to the channels that want it, in their quiet hours after these', async (t) => {
  const DATABASE_URL = await createDatabase(t)
  // Nothing is sent: the notices only have to be queued.
  const { app, call } = await build(t, { DATABASE_URL, FLATLINE__ALERTING__INTERVAL_MS: '60000' })
  const wanted = {
    everything: {},
    critical: { severities: ['critical'] },
    problems: { events: ['down'] },
    recoveries: { events: ['up'] },
    quiet: { quiet_hours: { from: '00:00', to: '00:00', tz: 'UTC' } },
  }
  const names = new Map<string, string>()
  for (const [name, alerts] of Object.entries(wanted)) {
    const channel = { kind: 'webhook', name, settings: { url: 'https://192.0.2.1/' }, alerts }
    names.set(String((await call('POST', '/api/v3/channels/', channel)).json().id), name)
  }
  const began = Date.now()

  const notify = async (about: string, severities: Severity[]) => {
    for (const [seq, severity] of severities.entries()) {
      const text = { severity, title: about, text: severity }
      await app.database.transaction((tx) =>
        app.notifications.notify(tx, { about, seq, text, channelIds: [...names.keys()] }),
      )
    }
    const rows = await sql<{ channel: string; severity: string; at: Date }>(
      DATABASE_URL,
      `SELECT channel_id AS channel, notice->>'severity' AS severity, next_attempt_at AS at
       FROM deliveries WHERE subject_id = $1 ORDER BY flip_seq`,
      [about],
    )
    const of = (name: string) => rows.filter(({ channel }) => names.get(channel) === name)
    for (const { at } of of('quiet')) assert.ok(at.getTime() > began && at.getUTCHours() === 0, at.toISOString())
    return Object.fromEntries(Object.keys(wanted).map((name) => [name, of(name).map(({ severity }) => severity)]))
  }

  assert.deepEqual(await notify(crypto.randomUUID(), ['info', 'critical', 'warning', 'resolved']), {
    everything: ['info', 'critical', 'warning', 'resolved'],
    critical: ['critical', 'resolved'],
    problems: ['info', 'critical', 'warning'],
    recoveries: ['resolved'],
    quiet: ['info', 'critical', 'warning', 'resolved'],
  })
  const again = crypto.randomUUID()
  assert.deepEqual((await notify(again, ['critical', 'resolved', 'info', 'resolved'])).critical, [
    'critical',
    'resolved',
  ])
})
