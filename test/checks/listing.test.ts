// Lists of checks: pages on request, and long lists that block nobody.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, keys } from '../helper.ts'
import { longestTurnMs, patience } from '../patience.ts'
import { sql } from '../postgres.ts'

const readOnly = { 'x-api-key': keys.api_key_readonly }

type Listed = { name: string; unique_key?: string }

/** As if the API had made them, with several in each millisecond. */
const insertMany = (count: number, schedule: 'simple' | 'cron') => `INSERT INTO checks
    (id, project_id, created_at, name, slug, tags, "desc", badge_key, kind, timeout_s, grace_s, schedule, tz, methods, manual_resume,
     filter_subject, filter_body, filter_http_body, filter_default_fail, start_kw, success_kw, failure_kw, status, last_ping)
  SELECT gen_random_uuid(), (SELECT id FROM projects), '2026-01-01'::timestamptz + (i / 7) * interval '1 ms', 'job ' || i, '', 'tag' || i % 10, '',
    gen_random_uuid(), '${schedule}', 86400, 3600, '*/7 3 * * 1-5', 'Europe/Riga', '', false, false, false, false, false, '', '', '',
    'up', now() FROM generate_series(1, ${count}) AS i`

test('a list without limit is complete and has no next; its pages together equal the list', async (t) => {
  const { call, databaseUrl } = await build(t)
  await sql(databaseUrl, insertMany(23, 'simple'))
  const list = async (query: string, headers?: Record<string, string>) => {
    const { checks, next } = (await call('GET', `/api/v3/checks/${query}`, undefined, headers)).json()
    return { names: (checks as Listed[]).map(({ name }) => name), next: next as string | null }
  }
  const whole = await list('')
  assert.deepEqual(Object.keys((await call('GET', '/api/v3/checks/')).json()), ['checks'])
  for (const headers of [undefined, readOnly]) {
    const names: string[] = []
    let next: string | null = ''
    let pages = 0
    while (next !== null) {
      const page: { names: string[]; next: string | null } = await list(`?limit=5${next && `&after=${next}`}`, headers)
      names.push(...page.names)
      next = page.next
      pages++
    }
    assert.deepEqual([pages, names], [5, whole.names])
  }
  const tagged = await list('?tag=tag1&limit=1')
  assert.deepEqual(tagged.names, ['job 1'], 'not tag10')
  assert.deepEqual((await list(`?tag=tag1&limit=5&after=${tagged.next}`)).names, ['job 11', 'job 21'])
})

test('the end of a page reveals no uuid, and its check may be deleted before the next page', async (t) => {
  const { call, databaseUrl } = await build(t)
  await sql(databaseUrl, insertMany(9, 'simple'))
  const first = (await call('GET', '/api/v3/checks/?limit=3', undefined, readOnly)).json()
  const cursor = Buffer.from(String(first.next), 'base64url').toString()
  const ids = await sql<{ id: string; name: string }>(databaseUrl, 'SELECT id, name FROM checks')
  for (const { id } of ids) assert.ok(!cursor.includes(id) && !cursor.includes(id.slice(0, 8)))
  const shown = (first.checks as Listed[]).map(({ name }) => name)
  for (const { id, name } of ids) if (shown.includes(name)) await call('DELETE', `/api/v3/checks/${id}`)
  const rest = (await call('GET', `/api/v3/checks/?limit=9&after=${first.next}`, undefined, readOnly)).json()
  assert.equal((rest.checks as Listed[]).length, 6, 'none is left out')
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'after=x&limit=1', 'after=']) {
    const { status, text } = await call('GET', `/api/v3/checks/?${query}`)
    assert.equal(status, 400, query)
    assert.match(text, /^{"error":"(limit|after) is not /)
  }
})

test('a list of 10,000 checks does not block the event loop or other callers for long', async (t) => {
  const { call, url, databaseUrl } = await build(t)
  await sql(databaseUrl, insertMany(10_000, 'cron'))
  await call('GET', '/api/v3/checks/?limit=1')
  let bytes = 0
  const longestMs = await longestTurnMs(async () => {
    const response = await fetch(`${url}/api/v3/checks/`, { headers: { 'x-api-key': keys.api_key } })
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) bytes += chunk.length
  })
  t.diagnostic(`${(bytes / 1e6).toFixed(1)} MB, longest turn of the event loop ${longestMs.toFixed(0)} ms`)
  assert.ok(longestMs < patience(100), `${longestMs} ms`)
  const { checks } = (await call('GET', '/api/v3/checks/')).json() as { checks: Listed[] }
  assert.equal(new Set(checks.map(({ name }) => name)).size, 10_000)
})

test('a client that disconnects in the middle of a long list leaves nothing behind', async (t) => {
  const { call, url, databaseUrl } = await build(t)
  await sql(databaseUrl, insertMany(3000, 'simple'))
  for (let i = 0; i < 5; i++) {
    const response = await fetch(`${url}/api/v3/checks/`, { headers: { 'x-api-key': keys.api_key } })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await reader.cancel()
  }
  assert.equal(((await call('GET', '/api/v3/checks/')).json().checks as object[]).length, 3000)
})
