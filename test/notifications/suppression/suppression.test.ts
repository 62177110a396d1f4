import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { WantedAlerts } from '../../../src/channels/wanted-alerts.ts'
import { ensurePartitions } from '../../../src/ingest/history/partitions.ts'
import { build, call as callAt, createReceiver, eventually } from '../../helper.ts'
import { sql } from '../../postgres.ts'
import { createWorld } from '../world.ts'

const hour = 3_600_000

/** One check with one channel that has wishes, and a hand on the check's status. */
async function createHouse(t: TestContext, alerts?: WantedAlerts) {
  const world = await createWorld(t)
  const replica = await world.replica()
  await ensurePartitions(replica.database, 1)
  const far = await createReceiver(t)
  const { channels } = replica
  const make = async (name: string, wishes?: WantedAlerts) =>
    (
      await channels.create(world.caller, {
        kind: 'webhook',
        name,
        settings: { url: `${far.url}/${name}` },
        ...(wishes && { alerts: wishes }),
      })
    ).id
  const channel = await make('a', alerts)
  const check = await world.check(replica, [channel], 'nightly')
  return {
    ...world,
    ...replica,
    far,
    make,
    channel,
    check,
    async flip(to: 'down' | 'up') {
      const [row] = await sql<{ seq: number }>(
        world.url,
        'UPDATE checks SET status = $2, flip_seq = flip_seq + 1 WHERE id = $1 RETURNING flip_seq AS seq',
        [check, to],
      )
      await world.flips(check, [to], row?.seq)
      await replica.turn()
    },
    /** Moves the clock, and runs both loops once. */
    async pass(ms: number) {
      world.clock.now += ms
      await replica.notifications.release()
      await replica.turn()
    },
    seen: async () =>
      (await world.deliveries()).map(({ event, status, last_error }) => [event, status, last_error].join(' ').trim()),
    told: () => far.received.map(({ url, body }) => `${url.slice(1)} ${JSON.parse(body).event}`),
  }
}

const iso = (at: number) => new Date(at).toISOString()

test('maintenance suppresses an outage; if it lasts longer, a reminder and the recovery follow', async (t) => {
  const house = await createHouse(t)
  const { maintenance } = house.notifications
  const now = house.clock.now
  await maintenance.create(house.caller, { name: 'upgrade', from: iso(now - 1000), to: iso(now + hour) })
  await house.flip('down')
  assert.deepEqual(await house.seen(), ['down suppressed maintenance: upgrade'])
  await house.pass(hour / 2)
  assert.deepEqual(house.told(), [])
  await house.pass(hour)
  assert.deepEqual(house.told(), ['a reminder'])
  await house.flip('up')
  assert.deepEqual(house.told(), ['a reminder', 'a up'])
})

test('an outage that begins and ends within maintenance is suppressed and listed', async (t) => {
  const house = await createHouse(t)
  const window = { name: 'nights', cron: '* * * * *', duration: 3600, tags: ['other'] }
  const { id } = await house.notifications.maintenance.create(house.caller, window)
  await house.flip('down')
  await house.flip('up')
  assert.deepEqual(house.told(), ['a down', 'a up'], 'it is for other checks')
  await house.notifications.maintenance.replace(house.caller, id, { ...window, tags: undefined, checks: [house.check] })
  await house.flip('down')
  await house.flip('up')
  assert.deepEqual((await house.seen()).slice(2), [
    'down suppressed maintenance: nights',
    'up suppressed the alert about the outage was suppressed',
  ])
})

test('the recovery of a sent outage is sent, whatever would suppress it by then', async (t) => {
  const house = await createHouse(t, { severities: ['critical'] })
  await house.flip('down')
  await house.notifications.acknowledgements.snooze(house.caller, house.check, 3600)
  await sql(house.url, "UPDATE checks SET severity = 'info'")
  await house.flip('up')
  assert.deepEqual(house.told(), ['a down', 'a up'])
})

test('a snoozed check sends no alerts until the end of the snooze, or until it is cancelled', async (t) => {
  const house = await createHouse(t)
  await house.notifications.acknowledgements.snooze(house.caller, house.check, 3600)
  await house.flip('down')
  assert.deepEqual(await house.seen(), ['down suppressed the check was snoozed'])
  await house.notifications.acknowledgements.snooze(house.caller, house.check, 0)
  await house.pass(1000)
  assert.deepEqual(house.told(), ['a reminder'])
})

test('quiet hours suppress alerts, and their end sends a reminder for each check still down', async (t) => {
  const now = Date.now()
  const clock = (ms: number) => new Date(ms).toISOString().slice(11, 16)
  const house = await createHouse(t, {
    quiet_hours: { from: clock(now - hour), to: clock(now + hour), tz: 'UTC' },
  })
  await house.flip('down')
  assert.deepEqual(await house.seen(), ['down suppressed the channel had quiet hours'])
  await house.pass(hour + 60_000)
  assert.deepEqual(house.told(), ['a reminder'])
})

test('a channel gets only its chosen directions and severities', async (t) => {
  const house = await createHouse(t, { events: ['up'] })
  await house.flip('down')
  await house.flip('up')
  assert.deepEqual(house.told(), ['a up'])
  await house.channels.update(house.caller, house.channel, { alerts: { severities: ['critical'] } })
  await sql(house.url, "UPDATE checks SET severity = 'warning'")
  await house.flip('down')
  await house.flip('up')
  await sql(house.url, 'UPDATE checks SET severity = NULL')
  await house.flip('down')
  await house.channels.update(house.caller, house.channel, { alerts: { events: ['down'] } })
  await house.flip('up')
  assert.deepEqual(await house.seen(), [
    'down suppressed the channel does not alert about outages',
    'up sent',
    'down suppressed the channel does not alert about severity warning',
    'up suppressed the channel does not alert about severity warning',
    'down sent',
    'up suppressed the channel does not alert about recoveries',
  ])
})

test('a flapping check sends no alerts after its tenth outage within an hour, until it is calmer', async (t) => {
  const house = await createHouse(t)
  for (let n = 0; n < 10; n++) {
    await house.flip('down')
    await house.flip('up')
  }
  assert.equal(house.told().length, 20)
  await house.flip('down')
  assert.equal((await house.seen()).at(-1), 'down suppressed the check was flapping')
  await house.pass(hour / 2)
  assert.equal(house.told().length, 20)
  await house.pass(hour)
  assert.deepEqual(house.told().slice(20), ['a reminder'])
})

test('reminders come while an unacknowledged outage lasts, each with its own key', async (t) => {
  const house = await createHouse(t, { remind_every: 3600 })
  await house.flip('down')
  await house.pass(hour - 1)
  assert.deepEqual(house.told(), ['a down'])
  await house.pass(1)
  await house.pass(hour)
  assert.deepEqual(house.told(), ['a down', 'a reminder', 'a reminder'])
  assert.equal(new Set(house.far.received.map(({ headers }) => headers['idempotency-key'])).size, 3)
  await house.notifications.acknowledgements.acknowledge(house.caller, house.check)
  await house.pass(hour)
  assert.equal((await house.seen()).at(-1), 'reminder:3 suppressed the outage was acknowledged')
  await house.flip('up')
  await house.flip('down')
  await house.flip('up')
  await house.pass(2 * hour)
  assert.deepEqual(house.told().slice(3), ['a up', 'a down', 'a up'], 'and end with it')
})

test('an unacknowledged outage is escalated, and so is its recovery', async (t) => {
  const house = await createHouse(t)
  const next = await house.make('b')
  const { channels } = house
  await channels.update(house.caller, house.channel, { alerts: { escalate: { to: next, after: 600 } } })
  await house.flip('down')
  await house.pass(599_000)
  assert.deepEqual(house.told(), ['a down'])
  await house.pass(1000)
  assert.deepEqual(house.told(), ['a down', 'b down'])
  assert.deepEqual(
    house.far.received.map(({ body }) => JSON.parse(body).escalated),
    [undefined, true],
  )
  await house.flip('up')
  assert.deepEqual(house.told().slice(2).sort(), ['a up', 'b up'])
  await house.flip('down')
  await house.notifications.acknowledgements.acknowledge(house.caller, house.check)
  await house.pass(hour)
  await house.flip('up')
  assert.deepEqual(house.told().slice(4), ['a down', 'a up'])
  for (const to of [house.channel, randomUUID()])
    await assert.rejects(channels.update(house.caller, house.channel, { alerts: { escalate: { to, after: 600 } } }), {
      field: 'alerts.escalate.to',
    })
})

test('an escalation that quiet hours suppressed is sent after them, and so is its recovery', async (t) => {
  const house = await createHouse(t)
  const at = (ms: number) => iso(house.clock.now + ms).slice(11, 16)
  const next = await house.make('b', { quiet_hours: { from: at(0), to: at(hour), tz: 'UTC' } })
  await house.channels.update(house.caller, house.channel, { alerts: { escalate: { to: next, after: 600 } } })
  await house.flip('down')
  await house.pass(600_000)
  assert.ok((await house.seen()).includes('escalation suppressed the channel had quiet hours'))
  await house.pass(hour)
  assert.deepEqual(house.told(), ['a down', 'b reminder'])
  await house.flip('up')
  assert.deepEqual(house.told().slice(2).sort(), ['a up', 'b up'])
})

test('a channel whose escalation was not sent does not get the recovery', async (t) => {
  const house = await createHouse(t)
  const next = await house.make('b', { quiet_hours: { from: '00:00', to: '00:00', tz: 'UTC' } })
  await house.channels.update(house.caller, house.channel, { alerts: { escalate: { to: next, after: 600 } } })
  await house.flip('down')
  await house.pass(600_000)
  await house.flip('up')
  assert.deepEqual(house.told(), ['a down', 'a up'])
})

test('the API creates, refuses, lists and deletes windows, and deliveries say why they are suppressed', async (t) => {
  const { call, databaseUrl } = await build(t)
  const path = '/api/v3/maintenance/'
  const far = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: far.url } })
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'x', channels: '*', severity: 'info' })).json()
  const [from, to] = [iso(Date.now() - 1000), iso(Date.now() + hour)]
  const refusals: [object, string][] = [
    [{ from, to }, 'name'],
    [{ name: 'x' }, 'from'],
    [{ name: 'x', from: 'soon', to }, 'from'],
    [{ name: 'x', from: to, to: from }, 'to'],
    [{ name: 'x', from, to, cron: '* * * * *', duration: 60 }, 'from'],
    [{ name: 'x', cron: 'never', duration: 60 }, 'cron'],
    [{ name: 'x', cron: '0 3 * * *' }, 'duration'],
    [{ name: 'x', cron: '0 3 * * *', duration: 60, tz: 'Mars/Olympus' }, 'tz'],
    [{ name: 'x', from, to, tz: 'UTC' }, 'tz'],
    [{ name: 'x', from, to, checks: [randomUUID()] }, 'checks'],
    [{ name: 'x', from, to, colour: 'red' }, 'colour'],
  ]
  for (const [body, field] of refusals) {
    const answer = await call('POST', path, body)
    assert.deepEqual([answer.status, answer.json().field], [400, field], JSON.stringify(body))
  }
  const made = await call('POST', path, { name: 'upgrade', from, to, checks: [uuid] })
  assert.equal(made.status, 201, made.text)
  assert.equal(made.json().open, true)
  await call('GET', `/ping/${uuid}/fail`, undefined, {})
  const quiet = await eventually('the delivery', async () => {
    const { deliveries } = (await call('GET', '/api/v3/deliveries/?status=suppressed')).json()
    return (deliveries as Record<string, string>[])[0]
  })
  assert.equal(quiet.last_error, 'maintenance: upgrade')
  assert.deepEqual((await call('GET', path)).json().maintenance, [made.json()])
  const one = `${path}${made.json().id}`
  assert.equal((await call('PUT', one, { name: 'later', cron: '0 3 * * *', duration: 60 })).json().tz, 'UTC')
  assert.equal((await call('DELETE', one)).status, 204)
  assert.equal((await call('GET', one)).status, 404)
  const audit = await sql<{ action: string }>(
    databaseUrl,
    "SELECT action FROM audit WHERE action LIKE 'maintenance.%' ORDER BY id",
  )
  assert.deepEqual(
    audit.map(({ action }) => action),
    ['maintenance.create', 'maintenance.update', 'maintenance.delete'],
  )
})

test('the link in an alert shows a page that changes nothing; only its buttons do', async (t) => {
  const { call, url } = await build(t)
  const far = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: far.url } })
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: '<b>x', channels: '*' })).json()
  const attention = async () => (await call('GET', `/api/v3/checks/${uuid}/attention/`)).json()
  assert.equal((await call('POST', `/api/v3/checks/${uuid}/acknowledge/`)).status, 409)
  await call('GET', `/ping/${uuid}/fail`, undefined, {})
  await eventually('the alert', () => far.received.length === 1)
  const link = new URL(JSON.parse(far.received[0]?.body ?? '').links.acknowledge).pathname
  const visit = (method: string, path: string) =>
    callAt(
      url,
      method,
      path,
      undefined,
      method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {},
    )
  assert.doesNotMatch(link, new RegExp(String(uuid)), 'nobody learns from it where to ping')
  const page = await visit('GET', link)
  assert.equal(page.status, 200)
  assert.doesNotMatch(page.text, new RegExp(String(uuid)))
  assert.match(page.text, /It is down.*Acknowledge.*Snooze for 4 h/s)
  assert.doesNotMatch(page.text, /<b>x/)
  assert.deepEqual(await attention(), { acknowledged: false, snoozed_until: null })
  assert.equal((await visit('POST', link)).status, 200)
  assert.equal((await visit('POST', `${link}/snooze/4`)).status, 200)
  const seen = (await attention()) as { acknowledged: boolean; snoozed_until: string }
  assert.equal(seen.acknowledged, true)
  assert.ok(Math.abs(Date.parse(seen.snoozed_until) - Date.now() - 4 * hour) < 60_000)
  const altered = link.slice(0, 60) + (link[60] === 'A' ? 'B' : 'A') + link.slice(61)
  const other = new URL(JSON.parse(far.received[0]?.body ?? '').links.check).pathname.split('/').at(-1)
  const strange = randomBytes(70).toString('base64url')
  for (const wrong of [altered, link.slice(0, -4), `/acknowledge/${other}`, `/acknowledge/${strange}`])
    for (const path of [wrong, `${wrong}/snooze/4`]) assert.equal((await visit('POST', path)).status, 404, path)
  assert.equal((await call('POST', `/api/v3/checks/${uuid}/snooze/`, { for: 0 })).json().snoozed_until, null)
  await call('GET', `/ping/${uuid}`, undefined, {})
  const over = (await visit('GET', link)).text
  assert.match(over, /is over/)
  assert.doesNotMatch(over, /<form/)
  for (const path of [link, `${link}/snooze/4`, `${link}/snooze/168`])
    assert.equal((await visit('POST', path)).status, 409, path)
  assert.equal((await attention()).snoozed_until, null)
  await call('GET', `/ping/${uuid}/fail`, undefined, {})
  for (const path of [link, `${link}/snooze/4`])
    assert.equal((await visit('POST', path)).status, 409, 'it is not for the next outage')
})
