import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { alertOf } from '../../src/messages/alert.ts'
import { fit, fitText, within } from '../../src/messages/fit.ts'
import { bodyOf, html, messageOf, plain, simpleHtml } from '../../src/messages/markup.ts'
import type { CheckMessage } from '../../src/messages/message.ts'
import { cut, durationText, oneLine, readable, tail } from '../../src/messages/text.ts'
import {
  assertWhole,
  changed,
  down,
  hostile,
  huge,
  notice,
  now,
  tried,
  up,
  viewOf,
} from '../channels/transports/contract.ts'

const facts = (message: CheckMessage, at = now) =>
  Object.fromEntries(alertOf(message, at).facts.map(({ label, value }) => [label, value]))

suite('an alert in words', () => {
  test('an outage says what, since when, why, and what was expected', () => {
    const alert = alertOf(down, now)
    assert.deepEqual([alert.title, alert.severity, alert.phase], ['nightly backup is down', 'critical', 'open'])
    assert.equal(alert.text, 'The job ended with exit status 3.')
    assert.deepEqual(facts(down), {
      'Down since': '2026-11-22 21:10:00 UTC',
      'Exit status': '3',
      'Last heartbeat': '2026-11-22 20:05:00 UTC',
      Expected: 'every hour, with 5 minutes of grace',
      Tags: 'prod db',
      Notes: 'Runbook: https://wiki.example/backup',
    })
    assert.equal(alert.output, 'copying…\ndisk full')
    assert.deepEqual(alert.links, [{ label: 'Open the check', url: 'https://flatline.example/api/v3/checks/1b6a8d0e' }])
    assert.deepEqual([alert.source, alert.tags, alert.at], ['nightly backup', ['prod', 'db'], Date.parse(down.flip.at)])
  })

  test('a recovery says how long the check was down and why, and when the next heartbeat is due', () => {
    const alert = alertOf(up, now)
    assert.deepEqual([alert.title, alert.severity, alert.phase], ['nightly backup is up again', 'resolved', 'resolved'])
    assert.equal(
      alert.text,
      'A heartbeat came: the job works again. Before, it was down: the job ended with exit status 3.',
    )
    assert.deepEqual(facts(up), {
      'Up since': '2026-11-22 22:14:00 UTC',
      'Was down for': '1 hour 4 minutes, since 2026-11-22 21:10:00 UTC',
      Expected: 'every hour, with 5 minutes of grace',
      'Next expected': '2026-11-22 23:14:00 UTC',
      Tags: 'prod db',
      Notes: 'Runbook: https://wiki.example/backup',
    })
    assert.equal(alert.incident, alertOf(down, now).incident)
    const untold: CheckMessage = { ...up, outage: { at: down.flip.at, reason: 'timeout', untold: true } }
    assert.equal(alertOf(untold, now).title, 'nightly backup was down and is up again')
  })

  test('a reminder says how long the check has been down', () => {
    const alert = alertOf({ ...down, event: 'reminder', reminder: 2 }, now)
    assert.deepEqual([alert.title, alert.phase], ['nightly backup is still down', 'open'])
    assert.equal(alert.text, 'The job ended with exit status 3. This is reminder 2.')
    assert.equal(facts({ ...down, event: 'reminder' })['Down for'], '1 hour 5 minutes')
  })

  test('an escalation says that nobody has acknowledged the outage, and how long it lasts', () => {
    const message: CheckMessage = { ...down, escalated: true }
    assert.equal(alertOf(message, now).text, 'The job ended with exit status 3. Nobody has acknowledged it yet.')
    assert.equal(facts(message)['Down for'], '1 hour 5 minutes')
  })

  const reasons: [CheckMessage['flip']['reason'], string][] = [
    ['timeout', 'No heartbeat came in time.'],
    ['overrun', 'A run took longer than it may.'],
    ['too_short', 'A run ended sooner than it may.'],
    ['fail', 'The job reported a failure.'],
    ['exit 137', 'The job ended with exit status 137.'],
  ]
  for (const [reason, sentence] of reasons) {
    test(`the reason ${reason} becomes: ${sentence}`, () => {
      assert.equal(alertOf({ ...down, flip: { ...down.flip, reason } }, now).text, sentence)
    })
  }

  test('an alert names the time in which a heartbeat may have been lost', () => {
    const blind = { from: '2026-11-22T20:00:00.000+00:00', to: '2026-11-22T20:05:00.000+00:00' }
    assert.match(
      alertOf({ ...down, blind }, now).text,
      /Flatline itself could not receive heartbeats from 2026-11-22 20:00:00 UTC to 2026-11-22 20:05:00 UTC/,
    )
  })

  test('an alert of a check with a calendar names its next moment, in UTC', () => {
    const check = changed(down.check, { schedule: '15 3 * * *', tz: 'Europe/Berlin' })
    const { Expected, 'Next expected': next } = facts({ ...down, check })
    assert.deepEqual(
      [Expected, next],
      ['15 3 * * * (Europe/Berlin), with 5 minutes of grace', '2026-11-23 02:15:00 UTC'],
    )
    assert.equal(
      facts({ ...down, check: changed(check, { schedule: 'Mon 04:00' }) })['Next expected'],
      '2026-11-23 03:00:00 UTC',
    )
  })

  test('an alert of a check without a name, a heartbeat or an output reads well', () => {
    const { lastPing: _none, ...bare } = down
    const check = viewOf({ uuid: down.check.id, timeout: 1, grace: 0, last_ping: null })
    const alert = alertOf({ ...bare, check, flip: { ...down.flip, reason: 'timeout' } }, now)
    assert.deepEqual([alert.title, alert.output], ['Check 1b6a8d0e is down', null])
    assert.deepEqual(facts({ ...bare, check }), {
      'Down since': '2026-11-22 21:10:00 UTC',
      'Last heartbeat': 'none yet',
      Expected: 'every second',
    })
    assert.equal(alertOf({ ...bare, check: changed(check, { slug: 'backup' }) }, now).title, 'backup is down')
  })

  test('an alert of several checks counts them and names the first', () => {
    const others = Array.from({ length: 24 }, (_, i) => ({
      check: changed(down.check, { name: `job ${i}` }),
      flip: { ...down.flip, to: i < 4 ? ('up' as const) : ('down' as const), reason: 'timeout' as const },
    }))
    const alert = alertOf({ ...down, others }, now)
    assert.equal(alert.title, '25 checks changed: 21 down, 4 up again')
    assert.deepEqual([alert.facts.length, alert.output], [11, null])
    assert.deepEqual(alert.facts[0], {
      label: 'nightly backup',
      value: 'down since 2026-11-22 21:10:00 UTC. The job ended with exit status 3.',
    })
    assert.deepEqual(alert.facts.at(-1), { label: 'And', value: '15 more' })
    const links = { check: 'https://a.example/c', acknowledge: 'https://a.example/a' }
    const offered = alertOf({ ...down, others, links }, now).links
    assert.deepEqual(offered, [{ label: 'Open nightly backup', url: links.check }], 'none that means all of them')
  })

  test('a test and a notice are short', () => {
    const test = alertOf(tried, now)
    assert.deepEqual([test.title, test.severity, test.facts], ['Test of this channel', 'info', []])
    const told = alertOf(notice, now)
    assert.deepEqual([told.title, told.text], [notice.notice.title, notice.notice.text])
    assert.deepEqual([told.severity, told.phase], ['warning', 'open'])
  })

  test('an alert contains links to its actions', () => {
    const links = { check: 'https://a.example/c', acknowledge: 'https://a.example/a', snooze: 'https://a.example/s' }
    const labels = alertOf({ ...down, links: { ...links, unsubscribe: 'https://a.example/u' } }, now).links.map(
      ({ label }) => label,
    )
    assert.deepEqual(labels, ['Open the check', 'Acknowledge', 'Snooze'])
  })

  test('a template replaces the text of Flatline and has the values of its placeholders', () => {
    const templates = { title: '$NAME ($STATUS)\nsince $NOW', body: '$TAG1: exit $EXITSTATUS\n$BODY' }
    const alert = alertOf(down, now, templates)
    assert.equal(alert.title, 'nightly backup (down) since 2026-11-22T21:10:00+00:00')
    assert.equal(alert.text, 'prod: exit 3\ncopying…\ndisk full')
    assert.deepEqual([alert.facts, alert.output], [[], null])
    assert.equal(alertOf(up, now, templates).title, 'nightly backup (up) since 2026-11-22T22:14:00+00:00')
    assert.equal(alertOf(down, now, { title: 'x' }).text, 'The job ended with exit status 3.')
    assert.equal(alertOf(notice, now, templates).title, notice.notice.title)
  })

  test('an alert has no control characters, whatever a job sends', () => {
    const body = Buffer.concat([Buffer.from([0xff, 0xfe, 0x00]), Buffer.from('a\u001b[1mb\u0007\r\nc\u0000')])
    const alert = alertOf(
      { ...down, check: changed(down.check, { name: 'a\u0000b\nc' }), lastPing: { body, exitStatus: 1 } },
      now,
    )
    assert.equal(alert.title, 'a b c is down')
    assert.equal(alert.output?.replaceAll('\uFFFD', ''), 'ab\nc')
  })
})

suite('cutting', () => {
  test('cutting keeps characters whole', () => {
    const text = '😀'.repeat(10)
    for (let max = 1; max <= 20; max++) {
      for (const short of [cut(text, max), tail(text, max)]) {
        assert.ok(short.length <= max, `${max}: ${short}`)
        assertWhole(short)
      }
    }
    assert.deepEqual([cut('abc', 3), tail('abc', 3)], ['abc', 'abc'])
    assert.deepEqual([cut('abcd', 3), tail('abcd', 3)], ['ab…', '…cd'])
  })

  test('cutting shortens the output first, then facts from the end, then the end of the text', () => {
    const alert = alertOf(down, now)
    const long = { ...alert, output: 'x'.repeat(1000) }
    const write = (shorter: typeof alert) => bodyOf(shorter, plain)
    const whole = write(long).length
    const without = write({ ...long, output: null }).length
    assert.match(fitText(long, whole - 500, write), /…x{100,}/)
    assert.match(fitText(long, whole - 500, write), /Notes: Runbook/)
    assert.doesNotMatch(fitText(long, without + 20, write), /Last output/)
    assert.match(fitText(long, without - 5, write), /Tags: prod db\n\nOpen/)
    assert.doesNotMatch(fitText(long, without - 5, write), /Notes/)
    const text = 'why '.repeat(500)
    assert.match(fitText({ ...alert, text }, 300, write), /^why .*…\n\nOpen the check/)
  })

  test('cut text fits every limit in every markup, down to a title', () => {
    for (const message of [huge, hostile, down]) {
      const alert = alertOf(message, now)
      for (const markup of [plain, html, simpleHtml])
        for (const max of [500, 1000, 2000, 4000, 8000]) {
          const text = fitText(alert, max, (part) => messageOf(part, markup))
          assert.ok(text.length <= max, `${text.length} > ${max}`)
          assertWhole(text)
          assert.doesNotMatch(text, markup === plain ? /^$/ : /&(?!(amp|lt|gt|quot);)/)
        }
    }
  })

  test('without room only the beginning of a title is left', () => {
    const text = fit(
      alertOf(huge, now),
      70,
      (part) => messageOf(part, plain),
      (written) => written.length,
    )
    assert.match(text, /^😀+…\n$/u)
  })

  test('the limit counts the text in its markup, not the plain text', () => {
    const escaped = within(20, '&'.repeat(100), (text) => text.replaceAll('&', '&amp;'))
    assert.equal(escaped, '&amp;&amp;&amp;…')
  })
})

suite('words', () => {
  test('durations have their two largest units', () => {
    const cases: [number, string][] = [
      [0, '0 seconds'],
      [1000, '1 second'],
      [61_000, '1 minute 1 second'],
      [3_600_000, '1 hour'],
      [7_265_000, '2 hours 1 minute'],
      [86_400_000 * 3 + 60_000, '3 days'],
      [-5, '0 seconds'],
    ]
    for (const [ms, words] of cases) assert.equal(durationText(ms), words)
  })

  test('lines lose control characters and trailing blanks', () => {
    assert.equal(oneLine(' a\tb\r\n  c\u2028d '), 'a b c d')
    assert.equal(readable('a\n\n\n\nb\r\rc\u0000 '), 'a\n\nb\n\nc')
  })
})
