import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../fake-destination.ts'
import { build } from '../helper.ts'
import { sql } from '../postgres.ts'
import { createWorld } from './world.ts'

const hour = 3_600_000

test("a check's own reminders come on all of its channels, whatever the channels say", async (t) => {
  const world = await createWorld(t)
  const replica = await world.replica()
  const told: string[] = []
  const url = await listen(t, (request, response) => {
    let text = ''
    request.on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      told.push(`${request.url} ${JSON.parse(text).event}`)
      response.end()
    })
  })
  const silent = await world.webhook(replica, { url: `${url}/silent` })
  const rare = await world.webhook(replica, { url: `${url}/rare` })
  await replica.channels.update(world.caller, rare, { alerts: { remind_every: 86_400 } })
  const check = await world.check(replica, [silent, rare])
  const down = "UPDATE checks SET status = 'down', flip_seq = 1, remind_every_s = 3600 WHERE id = $1"
  await sql(world.url, down, [check])
  await world.flips(check, ['down'])
  await replica.turn()
  for (let n = 0; n < 2; n++) {
    world.clock.now += hour
    await replica.turn()
  }
  assert.deepEqual(told.sort(), [
    ...['/rare down', '/rare reminder', '/rare reminder'],
    ...['/silent down', '/silent reminder', '/silent reminder'],
  ])
})

test('remind_every of a check is absent until set, is exported and applied, and can be removed', async (t) => {
  const { call } = await build(t)
  const made = (await call('POST', '/api/v3/checks/', { name: 'nightly', slug: 'nightly' })).json()
  assert.equal('remind_every' in made, false)
  const one = `/api/v3/checks/${made.uuid}`
  assert.equal((await call('POST', one, { remind_every: 3600 })).json().remind_every, 3600)
  for (const wrong of [59, 0, -1, 1.5, '1h', 31_536_001]) {
    const answer = await call('POST', one, { remind_every: wrong })
    assert.deepEqual([answer.status, /remind_every/.test(answer.text)], [400, true], String(wrong))
  }
  const { checks } = (await call('GET', '/api/v3/definitions/')).json() as { checks: Record<string, unknown>[] }
  assert.equal(checks[0]?.remind_every, 3600)
  const applied = await call('POST', '/api/v3/definitions/', { checks: [{ ...checks[0], remind_every: 7200 }] })
  assert.equal(applied.status, 200, applied.text)
  assert.equal((await call('GET', one)).json().remind_every, 7200)
  assert.equal('remind_every' in (await call('POST', one, { remind_every: null })).json(), false)
})
