// Checks as files: export, import, apply, against a running service.

import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { adminToken, build, keys, type Running, scratchDir } from '../helper.ts'
import { sql } from '../postgres.ts'
import { flatline } from './run.ts'

type Check = Record<string, unknown> & { uuid: string; name: string }

const to = ({ url }: Running, key = keys.api_key) => ['--server', url, '--key', key]

const listOf = async ({ call }: Running) => (await call('GET', '/api/v3/checks/')).json().checks as Check[]

const apply = (running: Running, document: string, ...options: string[]) =>
  flatline(['apply', '-', ...options, ...to(running)], document)

/** A check with every setting, its parent, a paused one, and a channel. */
async function fill({ call }: Running): Promise<void> {
  const settings = { url: 'http://127.0.0.1:9/' }
  await call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'on call', settings })
  const router = (await call('POST', '/api/v3/checks/', { name: 'router', timeout: 60, grace: 30 })).json()
  await call('POST', '/api/v3/checks/', {
    name: 'nightly backup: "all"',
    slug: 'nightly-backup',
    tags: 'db prod',
    desc: 'line one\nline two: # no comment',
    schedule: '15 3 * * *',
    tz: 'Europe/Riga',
    grace: 600,
    max_runtime: 300,
    min_runtime: 5,
    failure_threshold: 2,
    recovery_threshold: 3,
    early_tolerance: 60,
    track_runs: true,
    manual_resume: true,
    methods: 'POST',
    filter_subject: true,
    filter_body: true,
    filter_http_body: true,
    filter_default_fail: true,
    start_kw: 'yes',
    success_kw: '007',
    failure_kw: 'null',
    parent: router.uuid,
    channels: 'on call',
  })
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'old job' })).json()
  await call('POST', `/api/v3/checks/${uuid}/pause`)
}

/** Without what is of a server or a moment. */
const settled = (checks: Check[]) =>
  checks
    .map(({ update_url, pause_url, resume_url, ping_url, badge_url, channels, ...rest }) => ({
      ...rest,
      badge: String(badge_url).split('/').at(-1),
      channels: channels === '' ? 0 : String(channels).split(',').length,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))

test('an export imported to another server is identical there, and importing again changes nothing', async (t) => {
  const [source, target] = [await build(t), await build(t)]
  await fill(source)
  await target.call('POST', '/api/v3/channels/', {
    kind: 'webhook',
    name: 'on call',
    settings: { url: 'http://127.0.0.1:9/' },
  })
  const file = join(await scratchDir(t), 'checks.yaml')
  const exported = await flatline(['export', '--output', file, ...to(source)])
  assert.deepEqual([exported.code, exported.stdout], [0, ''])
  assert.match(exported.stderr, /^WARNING: every user of this machine can read --key .*\n$/)
  assert.equal((await stat(file)).mode & 0o777, 0o600, 'uuids are credentials')

  const imported = await flatline(['import', file, ...to(target)])
  assert.equal(imported.code, 0, imported.stderr)
  assert.match(imported.stdout, /^3 created, 0 updated, 0 unchanged, 0 deleted, 0 failed$/m)
  assert.deepEqual(settled(await listOf(target)), settled(await listOf(source)))
  const audited = () =>
    sql<{ n: string }>(target.databaseUrl, "SELECT count(*) AS n FROM audit WHERE action <> 'auth.success'")
  const before = await audited()
  const again = await flatline(['import', file, ...to(target)])
  assert.match(again.stdout, /^0 created, 0 updated, 3 unchanged, 0 deleted, 0 failed$/m)
  assert.deepEqual(await audited(), before, 'nothing was written')

  const router = (await listOf(target)).find(({ name }) => name === 'router')
  assert.equal((await target.call('GET', `/ping/${router?.uuid}`, undefined, {})).text, 'OK')
  const exportedAgain = await flatline(['export', ...to(target)])
  assert.deepEqual(byName(exportedAgain.stdout), byName(await readFile(file, 'utf8')))
})

const byName = (yaml: string) =>
  Object.fromEntries((parse(yaml) as { checks: Check[] }).checks.map((check) => [check.name, check]))

test('a file without uuids creates new checks elsewhere, with parents by their names', async (t) => {
  const [source, target] = [await build(t), await build(t)]
  await fill(source)
  const { stdout } = await flatline(['export', '--no-uuids', ...to(source)])
  for (const { uuid } of await listOf(source)) assert.ok(!stdout.includes(uuid))
  const refused = await apply(target, stdout)
  assert.match(refused.stdout, /failed {5}checks\[1\] nightly backup.*invalid channel identifier: on call/)
  const { stdout: done } = await apply(target, stdout.replace(/channels:\n +- on call/, 'channels: []'))
  assert.match(done, /^1 created, 0 updated, 2 unchanged/m)
  const [backup, router] = [
    byName(stdout)['nightly backup: "all"'],
    (await listOf(target)).find(({ name }) => name === 'router'),
  ]
  assert.equal(backup?.parent, 'router')
  const made = (await listOf(target)).find(({ slug }) => slug === 'nightly-backup')
  assert.equal(made?.parent, router?.uuid)
})

test('a setting that is removed from the file returns to its default', async (t) => {
  const running = await build(t)
  const made = await apply(running, 'checks:\n- {name: a, slug: a, max_runtime: 60, tags: x, timeout: 120, desc: d}\n')
  assert.match(made.stdout, /^created {4}a [0-9a-f-]{36}$/m)
  const [{ uuid } = { uuid: '' }] = await listOf(running)
  await running.call('POST', `/api/v3/checks/${uuid}/pause`)
  const changed = await apply(running, 'checks:\n- {name: renamed, slug: a, timeout: 180}\n')
  assert.match(changed.stdout, /^updated {4}renamed [0-9a-f-]{36}: name, tags, desc, timeout, max_runtime$/m)
  const [check] = await listOf(running)
  assert.deepEqual(
    [check?.uuid, check?.name, check?.tags, check?.timeout, check?.max_runtime, check?.status],
    [uuid, 'renamed', '', 180, undefined, 'paused'],
    'but whether it is paused was not said',
  )
  await apply(running, 'checks:\n- {name: renamed, slug: a, timeout: 180, paused: false}\n')
  assert.equal((await listOf(running))[0]?.status, 'new')
})

test('a dry run reports what would change and changes nothing; pruning deletes checks not in the file', async (t) => {
  const running = await build(t)
  await apply(running, 'checks:\n- name: keep\n- name: change\n- name: drop\n')
  const before = await listOf(running)
  const document = 'checks:\n- name: keep\n- {name: change, grace: 60}\n- name: add\n- {name: child, parent: add}\n'
  const dry = await apply(running, document, '--dry-run', '--prune')
  assert.match(dry.stdout, /^updated {4}change .*: grace$/m)
  assert.match(dry.stdout, /^created {4}add /m)
  assert.match(dry.stdout, /^deleted {4}drop /m)
  assert.match(dry.stdout, /^2 created, 1 updated, 1 unchanged, 1 deleted, 0 failed \(dry run: nothing was changed\)$/m)
  assert.deepEqual(await listOf(running), before)
  const done = await apply(running, document, '--prune')
  assert.match(done.stdout, /^2 created, 1 updated, 1 unchanged, 1 deleted, 0 failed$/m)
  assert.deepEqual((await listOf(running)).map(({ name }) => name).sort(), ['add', 'change', 'child', 'keep'])
  const audit = await sql<{ action: string }>(
    running.databaseUrl,
    "SELECT action FROM audit WHERE action = 'check.delete'",
  )
  assert.equal(audit.length, 1)
})

test('a refused check does not affect the others, and then nothing is pruned', async (t) => {
  const running = await build(t)
  const { call } = running
  for (const name of ['twice', 'twice', 'precious']) await call('POST', '/api/v3/checks/', { name })
  const other = (await call('POST', '/api/v3/projects/', { name: 'o' }, { 'x-api-key': adminToken })).json()
  const foreign = (await call('POST', '/api/v3/checks/', {}, { 'x-api-key': String(other.api_key) })).json()
  const refused: [yaml: string, error: RegExp][] = [
    ['{name: a, colour: red}', /colour is not a known field/],
    ['{name: b, timeout: 1.5}', /timeout is not a number/],
    ['{name: c, slug: 7}', /slug is not a string/],
    ['{name: twice}', /several checks have this name: give the uuid of one/],
    ['{tags: x}', /needs a uuid, a slug or a name/],
    ['{name: fine}', /is the same check as checks\[\d+\]/],
    ['{name: d, parent: nobody}', /parent is no check of this project or document: nobody/],
    ['{name: e, parent: twice}', /parent means several checks: twice/],
    ['{name: f, parent: g}', /parent would be its own descendant/],
    ['{name: g, parent: f}', /parent would be its own descendant/],
    ['{name: h, channels: [nobody]}', /invalid channel identifier: nobody/],
    ['{name: i, channels: nobody}', /channels is not "\*" or a list of channels/],
    ['{name: j, uuid: x}', /uuid is not a uuid/],
    [`{name: k, uuid: ${foreign.uuid}}`, /uuid is taken by another project/],
    ['{name: l, paused: 1}', /paused is not a boolean/],
    ['just text', /is not an object/],
  ]
  const document = `checks:\n- name: fine\n${refused.map(([yaml]) => `- ${yaml}\n`).join('')}`
  const { code, stdout, stderr } = await apply(running, document, '--prune')
  for (const [index, [yaml, error]] of refused.entries()) {
    const line = stdout.split('\n').find((line) => line.startsWith(`failed     checks[${index + 1}] `))
    assert.match(line ?? '', error, yaml)
  }
  assert.match(stdout, new RegExp(`^1 created, 0 updated, 0 unchanged, 0 deleted, ${refused.length} failed$`, 'm'))
  assert.match(stderr, /nothing was pruned/)
  assert.equal(code, 1)
  assert.deepEqual((await listOf(running)).map(({ name }) => name).sort(), ['fine', 'precious', 'twice', 'twice'])
  assert.equal((await call('GET', `/api/v3/checks/${foreign.uuid}`)).status, 404)
})

test('invalid files and calls end with one clear line and status 1', async (t) => {
  const running = await build(t)
  const cases: [args: string[], input: string, problem: RegExp][] = [
    [['apply', '-'], 'checks: [', /- is not YAML: .*line 1/s],
    [['apply', '-'], 'a: 1', /has no list of checks/],
    [['apply', '-'], '', /has no list of checks/],
    [['apply', '-'], 'checks: []\nmore: 1', /has an unknown field: more/],
    [['apply', '-', '--prune'], 'checks: []', /answers 400: checks is empty: pruning would delete every check/],
    [['apply', '/nowhere/at.yaml'], '', /cannot read \/nowhere\/at.yaml/],
    [['apply'], '', /usage: flatline import FILE/],
    [['import', '-', '--prune'], 'checks: []', /Unknown option '--prune'/],
    [['export', '--colour'], '', /Unknown option '--colour'/],
  ]
  for (const [args, input, problem] of cases) {
    const { code, stderr } = await flatline([...args, ...to(running)], input)
    assert.equal(code, 1, args.join(' '))
    assert.match(stderr, problem)
    assert.ok(!stderr.includes('    at '), 'no stack')
  }
  const wrongKey = await flatline(['export', ...to(running, 'x'.repeat(32))])
  assert.match(wrongKey.stderr, /answers 401: wrong api key/)
  const readOnly = await flatline(['export', ...to(running, keys.api_key_readonly)])
  assert.match(readOnly.stderr, /answers 401: wrong api key/)
  const gone = await build(t)
  await gone.app.close()
  const nowhere = await flatline(['export', ...to(gone)])
  assert.match(nowhere.stderr, /^cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/m)
  assert.equal(nowhere.code, 3)
  const keyless = await flatline(['export', '--server', running.url])
  assert.match(keyless.stderr, /a read-write key is needed: --key, --key-file or BOOTSTRAP_API_KEY/)
  const file = join(await scratchDir(t), 'key')
  await writeFile(file, `${keys.api_key}\n`)
  assert.equal((await flatline(['export', '--server', running.url, '--key-file', file])).code, 0)
})

test('the uuid of a deleted check can only be reused by its project, and without its history', async (t) => {
  const running = await build(t)
  const { call } = running
  const other = (await call('POST', '/api/v3/projects/', { name: 'o' }, { 'x-api-key': adminToken })).json()
  const { uuid } = (await call('POST', '/api/v3/checks/', { name: 'a' })).json()
  await call('POST', `/ping/${uuid}`, 'secret of the first owner', {})
  await call('GET', `/ping/${uuid}/fail`, undefined, {})
  await call('DELETE', `/api/v3/checks/${uuid}`)
  const document = `checks:\n- {name: b, uuid: ${uuid}}\n`
  const taken = await flatline(['apply', '-', ...to(running, String(other.api_key))], document)
  assert.match(taken.stdout + taken.stderr, /uuid is taken by another project/)
  assert.match((await apply(running, document)).stdout, /^1 created/m)
  const ask = async (path: string) => (await call('GET', `/api/v3/checks/${uuid}/${path}`)).json()
  assert.deepEqual(await ask('pings/'), { pings: [] })
  assert.deepEqual(await ask('flips/'), { flips: [] })
  await call('GET', `/ping/${uuid}`, undefined, {})
  const { pings } = (await ask('pings/')) as { pings: { n: number }[] }
  assert.deepEqual(
    pings.map(({ n }) => n),
    [1],
  )
})

test('five hundred checks are applied, and found unchanged, with one call each time', async (t) => {
  const running = await build(t)
  const lines = Array.from({ length: 500 }, (_, i) => `- {name: job ${i}, slug: job-${i}, timeout: ${60 + i}}\n`)
  const began = performance.now()
  assert.match((await apply(running, `checks:\n${lines.join('')}`)).stdout, /^500 created/m)
  const made = performance.now()
  assert.match((await apply(running, `checks:\n${lines.join('')}`)).stdout, /500 unchanged/m)
  t.diagnostic(`made in ${(made - began).toFixed(0)} ms, compared in ${(performance.now() - made).toFixed(0)} ms`)
  assert.equal(((await running.call('GET', '/api/v3/definitions/')).json().checks as object[]).length, 500)
})
