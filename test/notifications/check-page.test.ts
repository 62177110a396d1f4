import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../fake-destination.ts'
import { build, createReceiver, eventually } from '../helper.ts'
import { createWorld } from './world.ts'

test('the link in an alert shows the check without a key, and can neither ping nor change it', async (t) => {
  const { call } = await build(t)
  const far = await createReceiver(t)
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'hook', settings: { url: far.url } })
  const wanted = { name: '<i>nightly', desc: 'see <wiki>', tags: 'prod', channels: '*' }
  const { uuid } = (await call('POST', '/api/v3/checks/', wanted)).json() as { uuid: string }
  await call('GET', `/ping/${uuid}/3`, undefined, {})
  await eventually('the alert', () => far.received.length === 1)
  const link = new URL(JSON.parse(far.received[0]?.body ?? '').links.check).pathname
  assert.doesNotMatch(link, new RegExp(uuid))

  const page = await call('GET', link, undefined, {})
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
  assert.equal(page.headers.get('cache-control'), 'no-store')
  assert.match(
    page.text,
    /It is down\..*Since.*exit status 3.*Expected.*every 1? ?day.*prod.*#1 .*fail, exit status 3/s,
  )
  assert.doesNotMatch(page.text, /<i>nightly|<wiki>/)
  assert.doesNotMatch(page.text, new RegExp(uuid))
  assert.doesNotMatch(page.text, /<form|<script/)

  await call('GET', `/ping/${uuid}`, undefined, {})
  assert.match((await call('GET', link, undefined, {})).text, /It is up\..*#2 .*success/s)
  assert.equal((await call('POST', link, undefined, {})).status, 405)
  for (const wrong of [`${link}x`, link.slice(0, -3), '/checks/x', `/checks/${uuid}`])
    assert.equal((await call('GET', wrong, undefined, {})).status, 404, wrong)
  await call('DELETE', `/api/v3/checks/${uuid}`)
  assert.equal((await call('GET', link, undefined, {})).status, 404)
})

test('links are valid for a week', async (t) => {
  const world = await createWorld(t)
  const replica = await world.replica()
  const links: string[] = []
  const url = await listen(t, (request, response) => {
    let text = ''
    request.on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      const { check, acknowledge } = JSON.parse(text).links
      links.push(check, acknowledge)
      response.end()
    })
  })
  await world.flips(await world.check(replica, [await world.webhook(replica, { url })]), ['down'])
  await replica.turn()
  const [token, seen] = links.map((link) => link.split('/').at(-1)) as [string, string]
  world.clock.now += 6 * 86_400_000
  assert.equal((await replica.notifications.checkPage.read(token)).check.name, 'nightly')
  assert.equal((await replica.notifications.acknowledgements.readLink(seen)).name, 'nightly')
  world.clock.now += 2 * 86_400_000
  await assert.rejects(replica.notifications.checkPage.read(token), /too old/)
  const visitor = { actor: 'link', requestId: 'r-1' }
  await assert.rejects(replica.notifications.acknowledgements.readLink(seen), /too old/)
  await assert.rejects(replica.notifications.acknowledgements.acknowledgeByLink(visitor, seen), /too old/)
  await assert.rejects(replica.notifications.acknowledgements.snoozeByLink(visitor, seen, 60), /too old/)
})
