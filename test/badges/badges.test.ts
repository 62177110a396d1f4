import assert from 'node:assert/strict'
import { test } from 'node:test'
import { uniqueKey } from '../../src/checks/fields/columns.ts'
import { build, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'

const readOnly = { 'x-api-key': keys.api_key_readonly }

type Urls = Record<'svg' | 'svg3' | 'json' | 'json3' | 'shields' | 'shields3', string>

const create = async ({ call }: Running, body: unknown = {}) =>
  (await call('POST', '/api/v3/checks/', body)).json() as { uuid: string; badge_url: string }

async function badgesOf({ call }: Running, version = 'v3'): Promise<Record<string, Urls>> {
  return (await call('GET', `/api/${version}/badges/`, undefined, readOnly)).json().badges as Record<string, Urls>
}

const json = async (url: string) => (await (await fetch(url)).json()) as Record<string, unknown>

/** A check in its grace time, without waiting for it. */
async function makeLate({ call, databaseUrl }: Running, uuid: string): Promise<void> {
  await call('GET', `/ping/${uuid}`, undefined, {})
  await sql(databaseUrl, "UPDATE checks SET last_ping = now() - interval '90 seconds' WHERE id = $1", [uuid])
}

test('each tag and all checks together have badges in three formats, with two states and with three', async (t) => {
  const running = await build(t)
  await create(running, { tags: 'db prod' })
  await create(running, { tags: 'prod  db@dc1' })
  for (const version of ['v1', 'v2', 'v3']) {
    const badges = await badgesOf(running, version)
    assert.deepEqual(Object.keys(badges), ['*', 'db', 'db@dc1', 'prod'])
    for (const urls of Object.values(badges))
      assert.deepEqual(Object.keys(urls), ['svg', 'svg3', 'json', 'json3', 'shields', 'shields3'])
  }
  const badges = await badgesOf(running)
  const address = /^http:\/\/[^/]+\/badge\/[0-9a-f-]{36}\/[A-Za-z0-9_-]{8}/
  assert.match(String(badges['*']?.svg), new RegExp(`${address.source}-2\\.svg$`))
  assert.match(String(badges['*']?.json3), new RegExp(`${address.source}\\.json$`))
  assert.match(String(badges.db?.shields), new RegExp(`${address.source}-2/db\\.shields$`))
  assert.match(String(badges['db@dc1']?.svg3), new RegExp(`${address.source}/db%2540dc1\\.svg$`))
})

test('badges show down before late before up; only three-state badges show late; new and paused are up', async (t) => {
  const running = await build(t)
  const { call } = running
  const [a, b, c] = [
    await create(running, { name: 'a', tags: 'x y', timeout: 60, grace: 3600 }),
    await create(running, { name: 'b', tags: 'x', timeout: 60, grace: 3600 }),
    await create(running, { name: 'c', tags: 'z' }),
  ]
  await call('POST', `/api/v3/checks/${c.uuid}/pause`)
  const { x, y, z, '*': all } = (await badgesOf(running)) as Record<'x' | 'y' | 'z' | '*', Urls>
  assert.deepEqual(await json(all.json), { status: 'up', total: 3, grace: 0, down: 0 })
  await makeLate(running, a.uuid)
  assert.deepEqual(await json(x.json), { status: 'up', total: 2, grace: 1, down: 0 })
  assert.deepEqual(await json(x.json3), { status: 'late', total: 2, grace: 1, down: 0 })
  assert.deepEqual(await json(x.shields3), { schemaVersion: 1, label: 'x', message: 'late', color: 'important' })
  assert.deepEqual(await json(x.shields), { schemaVersion: 1, label: 'x', message: 'up', color: 'success' })
  await call('GET', `/ping/${b.uuid}/fail`, undefined, {})
  assert.deepEqual(await json(x.json3), { status: 'down', total: 2, grace: 1, down: 1 })
  assert.deepEqual(await json(x.shields), { schemaVersion: 1, label: 'x', message: 'down', color: 'critical' })
  assert.deepEqual(await json(y.json3), { status: 'late', total: 1, grace: 1, down: 0 })
  assert.deepEqual(await json(z.json3), { status: 'up', total: 1, grace: 0, down: 0 })
  assert.deepEqual(await json(all.shields3), {
    schemaVersion: 1,
    label: 'Flatline',
    message: 'down',
    color: 'critical',
  })
  for (const [url, colour, text] of [
    [all.svg, '#e05d44', 'down'],
    [y.svg3, '#fe7d37', 'late'],
    [z.svg, '#4c1', 'up'],
  ] as const) {
    const svg = await fetch(url)
    assert.match(String(svg.headers.get('content-type')), /^image\/svg\+xml/)
    const body = await svg.text()
    assert.ok(body.startsWith('<svg') && body.includes(colour) && body.includes(`>${text}<`), body)
  }
})

test('a check has its own badge, labelled with its name, its slug or its unique key', async (t) => {
  const running = await build(t)
  const { url } = running
  const named = await create(running, { name: 'nightly <backup> & co' })
  const nameless = await create(running, { timeout: 60, grace: 3600 })
  await makeLate(running, nameless.uuid)
  const badge = (check: { badge_url: string }, states: string, format: string) =>
    check.badge_url.replace('/b/2/', `/b/${states}/`).replace(/svg$/, format)
  const shields = { schemaVersion: 1, label: 'nightly <backup> & co', message: 'up', color: 'success' }
  assert.deepEqual(await json(badge(named, '2', 'shields')), shields)
  assert.match(await (await fetch(named.badge_url)).text(), /nightly &lt;backup&gt; &amp; co/)
  for (const [states, status] of [
    ['2', 'up'],
    ['3', 'late'],
    ['03', 'late'],
    ['7', 'up'],
  ] as const)
    assert.deepEqual(await json(badge(nameless, states, 'json')), { status, total: 1, grace: 1, down: 0 })
  assert.equal((await json(badge(nameless, '3', 'shields'))).label, uniqueKey(nameless.uuid))
  for (const path of [
    `/b/2/${crypto.randomUUID()}.svg`,
    `/b/2/${named.uuid}.svg`,
    `/b/x/${badge(named, '2', 'svg').split('/').at(-1)}`,
    new URL(badge(named, '2', 'png')).pathname,
    new URL(badge(named, '2', '')).pathname,
  ])
    assert.equal((await fetch(url + path)).status, 404, path)
})

const tags = [
  'db@dc1',
  'a/b',
  'v1.2',
  '100%',
  'größe',
  '日本',
  "it's!(*)",
  'a?b#c',
  '__proto__',
  '%2F',
  'x'.repeat(400),
]

test('tags of any characters have badges, and the tag is encoded twice in the address', async (t) => {
  const running = await build(t)
  const { call } = running
  for (const tag of tags) await create(running, { tags: tag })
  const badges = await badgesOf(running)
  assert.deepEqual(Object.keys(badges).sort(), ['*', ...tags].sort())
  for (const tag of tags) {
    const urls = Object.entries(badges).find(([name]) => name === tag)?.[1]
    const { label, message } = await json(String(urls?.shields))
    assert.deepEqual([label, message], [tag, 'up'])
    assert.equal((await json(String(urls?.json))).total, 1, tag)
  }
  const [{ uuid } = { uuid: '' }] = (await call('GET', '/api/v3/checks/?tag=v1.2')).json().checks as { uuid: string }[]
  await call('DELETE', `/api/v3/checks/${uuid}`)
  assert.deepEqual(await json(String(badges['v1.2']?.json3)), { status: 'up', total: 0, grace: 0, down: 0 })
})

test('a signature is valid only for its own tag; only 8 of its characters count', async (t) => {
  const running = await build(t)
  await create(running, { tags: 'db prod' })
  const { db, prod, '*': all } = (await badgesOf(running)) as Record<'db' | 'prod' | '*', Urls>
  const [, key, signature] = new URL(db.svg3).pathname.split('/').slice(1) as [string, string, string]
  const { origin } = new URL(db.svg)
  const status = async (path: string) => (await fetch(`${origin}/badge/${path}`)).status
  assert.equal(await status(`${key}/${signature}/db.svg`), 200)
  assert.equal(await status(`${key}/${signature}xyz/db.svg`), 200)
  assert.equal(await status(`${key}/${signature}/prod.svg`), 404)
  assert.equal(await status(`${key}/${signature}.svg`), 404)
  assert.equal(await status(`${key}/${signature.slice(0, 7)}/db.svg`), 404)
  assert.equal(await status(`${crypto.randomUUID()}/${signature}/db.svg`), 404)
  assert.equal(await status(`${key}/${signature}/db.png`), 404)
  assert.equal(await status(`${key}/${signature}/db`), 404)
  assert.equal(await status(`${key}/${signature}/%25E0.svg`), 404)
  assert.notEqual(prod.svg, db.svg)
  assert.equal((await fetch(all.svg)).status, 200)
})

test('badges are never cached and may be embedded anywhere; every key of the project lists them', async (t) => {
  const running = await build(t)
  const { call } = running
  const check = await create(running, { tags: 'db' })
  const { db } = (await badgesOf(running)) as Record<'db', Urls>
  for (const url of [db.svg, db.json3, db.shields, check.badge_url]) {
    const { headers } = await fetch(url)
    assert.match(String(headers.get('cache-control')), /max-age=0, no-cache, no-store, must-revalidate, private/)
    assert.ok(headers.get('expires'))
    assert.equal(headers.get('access-control-allow-origin'), '*')
    assert.equal(headers.get('access-control-allow-methods'), 'GET, OPTIONS')
    assert.equal(headers.get('cross-origin-resource-policy'), 'cross-origin')
    assert.equal((await fetch(url, { method: 'OPTIONS' })).status, 204)
    assert.equal((await fetch(url, { method: 'POST' })).status, 405)
  }
  assert.equal((await call('GET', '/api/v3/badges/')).status, 200)
  assert.equal((await call('GET', '/api/v3/badges/', undefined, {})).status, 401)
  assert.equal((await call('GET', '/api/v3/badges', undefined, {})).status, 301)
})

test('BADGE_LABEL names the badge of all checks', async (t) => {
  const running = await build(t, { BADGE_LABEL: 'our jobs' })
  const { '*': all } = (await badgesOf(running)) as Record<'*', Urls>
  assert.equal((await json(all.shields)).label, 'our jobs')
})
