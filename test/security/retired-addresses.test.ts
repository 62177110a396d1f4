// Jobs still send to an address after its check or its project is deleted. No other project may get it, or it would
// read what they send.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { adminToken, build, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'

const admin = { authorization: `Bearer ${adminToken}` }
const as = (key: unknown) => ({ 'x-api-key': String(key) })

const project = async ({ call }: Running, name: string) =>
  (await call('POST', '/api/v3/projects/', { name }, admin)).json() as Record<string, string>

/** The outcome of a definition with these ids. */
async function claim({ call }: Running, key: unknown, ids: Record<string, string>, dryRun = false) {
  const body = { checks: [{ name: 'claimed', ...ids }], dry_run: dryRun }
  const { results } = (await call('POST', '/api/v3/definitions/', body, as(key))).json()
  const [{ action, error } = { action: '', error: '' }] = results as { action: string; error?: string }[]
  return { action, error }
}

/** Ways in which a check of project A is deleted. */
const ways: [name: string, remove: (running: Running, a: Record<string, string>, uuid: string) => Promise<unknown>][] =
  [
    ['deleted', ({ call }, a, uuid) => call('DELETE', `/api/v3/checks/${uuid}`, undefined, as(a.api_key))],
    [
      'pruned',
      ({ call }, a) =>
        call('POST', '/api/v3/definitions/', { checks: [{ name: 'other' }], prune: true }, as(a.api_key)),
    ],
    ['deleted with its project', ({ call }, a) => call('DELETE', `/api/v3/projects/${a.id}/`, undefined, admin)],
  ]

for (const [way, remove] of ways) {
  test(`the uuid and the badge of a check that was ${way} go to no other project`, async (t) => {
    const running = await build(t)
    const { call } = running
    const [a, b] = [await project(running, 'a'), await project(running, 'b')]
    const made = (await call('POST', '/api/v3/checks/', { name: 'job' }, as(a.api_key))).json()
    const uuid = String(made.uuid)
    const [, badgeKey = ''] = /\/b\/2\/([^.]+)\.svg$/.exec(String(made.badge_url)) ?? []
    const live = await claim(running, b.api_key, { uuid })
    await remove(running, a, uuid)
    assert.equal((await call('GET', `/ping/${uuid}`, undefined, {})).status, 404)

    assert.deepEqual(live, { action: 'failed', error: 'uuid is taken by another project' })
    for (const dryRun of [true, false]) assert.deepEqual(await claim(running, b.api_key, { uuid }, dryRun), live)
    const badge = await claim(running, b.api_key, { uuid: randomUUID(), badge_key: badgeKey })
    assert.deepEqual(badge, { action: 'failed', error: 'badge_key is taken by another check' })
    assert.equal((await call('GET', `/ping/${uuid}`, undefined, {})).status, 404, 'the old jobs still reach nobody')

    if (way === 'deleted with its project') return
    assert.equal(
      (await claim(running, a.api_key, { uuid, badge_key: badgeKey })).action,
      'created',
      'its own comes back',
    )
    assert.equal((await call('GET', `/ping/${uuid}`, undefined, {})).status, 200)
  })
}

test('only one of two projects gets a uuid, in parallel or after its first owner deletes the check', async (t) => {
  const running = await build(t)
  const projects = [await project(running, 'a'), await project(running, 'b')]
  for (let round = 0; round < 10; round++) {
    const uuid = randomUUID()
    const claims = await Promise.all(projects.map((one) => claim(running, one.api_key, { uuid })))
    assert.deepEqual(claims.map(({ action }) => action).sort(), ['created', 'failed'])
    const [owner, loser] = claims[0]?.action === 'created' ? projects : projects.toReversed()
    const [, again] = await Promise.all([
      running.call('DELETE', `/api/v3/checks/${uuid}`, undefined, as(owner?.api_key)),
      claim(running, loser?.api_key, { uuid }),
    ])
    assert.equal(again.action, 'failed')
  }
})

test('replaced ping keys and badge keys, and those of deleted projects, go to no other project', async (t) => {
  const running = await build(t)
  const { call, databaseUrl } = running
  const [a, b] = [await project(running, 'a'), await project(running, 'b')]
  const adopt = async (key: unknown, body: object) => (await call('POST', '/api/v3/keys/adopt/', body, as(key))).status
  const badgeOf = async (id: unknown) =>
    (await sql<{ badge_key: string }>(databaseUrl, 'SELECT badge_key FROM projects WHERE id = $1', [id]))[0]?.badge_key

  const badge = String(await badgeOf(a.id))
  await call('POST', `/api/v3/projects/${a.id}/keys/ping_key/rotate/`, undefined, admin)
  assert.equal(await adopt(a.api_key, { badge_key: 'another-badge-key' }), 200)
  assert.equal(await adopt(b.api_key, { ping_key: a.ping_key }), 409)
  assert.equal(await adopt(b.api_key, { badge_key: badge }), 409)
  const made = await call('GET', `/ping/${a.ping_key}/job?create=1`, undefined, {})
  assert.equal(made.status, 404, 'an old job reaches nobody')
  assert.equal(await adopt(a.api_key, { ping_key: a.ping_key, badge_key: badge }), 200, 'its own come back')

  await call('DELETE', `/api/v3/projects/${a.id}/`, undefined, admin)
  for (const taken of [{ ping_key: a.ping_key }, { badge_key: badge }, { badge_key: 'another-badge-key' }])
    assert.equal(await adopt(b.api_key, taken), 409, JSON.stringify(taken))
  assert.equal(await adopt(keys.api_key, { ping_key: 'n'.repeat(22) }), 200, 'one that nobody had is free')
})
