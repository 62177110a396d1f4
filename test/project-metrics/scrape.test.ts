import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { build, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'
import { needsTool } from '../tools.ts'

const anyProject = '00000000-0000-4000-8000-000000000000'
const address = `/projects/${anyProject}/metrics/`

const create = async ({ call }: Running, body: unknown) =>
  String((await call('POST', '/api/v3/checks/', body)).json().uuid)

const scrape = async ({ call }: Running) =>
  (await call('GET', `${address}${keys.api_key_readonly}`, undefined, {})).text

/** The samples of a metric by the name of the check, or the tag, or nothing. */
function samples(text: string, metric: string): Record<string, number> {
  const found = text.split('\n').flatMap((line) => {
    const [, name, label = '', value] = /^(\w+)(?:\{(?:name|tag)="((?:[^"\\]|\\.)*)".*\})? (\S+)$/.exec(line) ?? []
    return name === metric ? [[label, Number(value)] as const] : []
  })
  return Object.fromEntries(found)
}

const refusals: [path: string, headers: Record<string, string>, status: number][] = [
  [address, {}, 401],
  [address, { authorization: `Basic ${keys.api_key_readonly}` }, 401],
  [address, { 'x-api-key': keys.api_key_readonly }, 401],
  [address, { authorization: 'Bearer short' }, 400],
  [`${address}short`, {}, 400],
  [`${address}${'x'.repeat(33)}`, {}, 400],
  [`${address}${'x'.repeat(32)}`, {}, 403],
  [`${address}${keys.api_key}`, {}, 403],
  [address, { authorization: `Bearer ${keys.api_key}` }, 403],
]

test('only a read-only key reads the metrics, in the path or as a bearer token, with any uuid', async (t) => {
  const running = await build(t)
  const { call } = running
  const wanted = await scrape(running)
  assert.match(wanted, /^# HELP hc_check_up /)
  for (const [path, headers] of [
    [`${address}${keys.api_key_readonly}`, {}],
    [`/projects/${anyProject}/checks/metrics/${keys.api_key_readonly}`, {}],
    [address, { authorization: `Bearer ${keys.api_key_readonly}` }],
  ] as const) {
    const answer = await call('GET', path, undefined, headers)
    assert.deepEqual([answer.status, answer.text], [200, wanted], path)
    assert.match(String(answer.headers.get('content-type')), /^text\/plain/)
  }
  for (const [path, headers, status] of refusals) {
    const answer = await call('GET', path, undefined, headers)
    assert.deepEqual([answer.status, answer.text], [status, ''], path)
  }
})

test('a scrape has every state of a check, tags, counts, and the metrics of Flatline alone', async (t) => {
  const running = await build(t)
  const { call, databaseUrl } = running
  const [up, down, late, running_] = [
    await create(running, { name: 'up', tags: 'db  prod', timeout: 600, grace: 60 }),
    await create(running, { name: 'down', tags: 'prod' }),
    await create(running, { name: 'late', timeout: 60, grace: 3600 }),
    await create(running, { name: 'running', grace: 3600 }),
  ]
  const paused = await create(running, { name: 'paused' })
  await create(running, { name: 'new "quoted" \\ \n line', tags: 'x"y' })
  const ping = (id: string, action = '') => call('GET', `/ping/${id}${action}`, undefined, {})
  for (const id of [up, late]) await ping(id)
  await ping(down, '/fail')
  await ping(up, '/start')
  await ping(up)
  await ping(running_, '/start')
  await call('POST', `/api/v3/checks/${paused}/pause`)
  await sql(databaseUrl, "UPDATE checks SET last_ping = now() - interval '90 seconds' WHERE id = $1", [late])
  await sql(databaseUrl, 'UPDATE checks SET last_duration_ms = 1250 WHERE id = $1', [up])

  const text = await scrape(running)
  const all = { up: 0, down: 0, late: 0, running: 0, paused: 0, 'new \\"quoted\\" \\\\ \\n line': 0 }
  const only = (name: keyof typeof all) => ({ ...all, [name]: 1 })
  assert.deepEqual(
    samples(text, 'hc_check_up'),
    Object.fromEntries(Object.keys(all).map((name) => [name, Number(name !== 'down')])),
  )
  assert.deepEqual(samples(text, 'hc_check_grace'), only('late'))
  assert.deepEqual(samples(text, 'hc_check_started'), only('running'))
  assert.deepEqual(samples(text, 'hc_check_paused'), only('paused'))
  assert.deepEqual(samples(text, 'hc_tag_up'), { db: 1, prod: 0, 'x\\"y': 1 })
  assert.deepEqual(samples(text, 'hc_checks_total'), { '': 6 })
  assert.deepEqual(samples(text, 'hc_checks_down_total'), { '': 1 })
  assert.deepEqual(samples(text, 'hc_check_last_duration_seconds'), { up: 1.25 })
  assert.deepEqual(samples(text, 'hc_check_pings_total'), { ...all, up: 3, down: 1, late: 1, running: 1 })
  assert.deepEqual(samples(text, 'hc_check_flips_total'), { ...all, up: 1, down: 1, late: 1, paused: 1 })
  const age = samples(text, 'hc_check_seconds_since_last_ping')
  assert.deepEqual(Object.keys(age).sort(), ['down', 'late', 'up'])
  assert.ok(Number(age.late) >= 90 && Number(age.late) < 150 && Number(age.up) < 60)
  const left = samples(text, 'hc_check_seconds_until_deadline')
  assert.deepEqual(Object.keys(left).sort(), ['late', 'running', 'up'])
  assert.ok(Number(left.up) > 500 && Number(left.up) <= 660 && Number(left.running) <= 3600)
  assert.match(text, /^hc_check_up\{name="up", tags="db {2}prod", unique_key="[0-9a-f]{40}"\} 1$/m)
  for (const id of [up, down, late]) assert.ok(!text.includes(id), 'no ping credential')
})

const skip = needsTool('promtool')

test('promtool accepts a scrape, except for the names that Healthchecks chose', { skip }, async (t) => {
  const running = await build(t)
  const id = await create(running, { name: 'a', tags: 'x' })
  for (const action of ['/start', '']) await running.call('GET', `/ping/${id}${action}`, undefined, {})
  const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await scrape(running),
    encoding: 'utf8',
  })
  assert.deepEqual(`${stdout}${stderr}`.trim().split('\n').sort(), [
    'hc_checks_down_total non-counter metrics should not have "_total" suffix',
    'hc_checks_total non-counter metrics should not have "_total" suffix',
  ])
})
