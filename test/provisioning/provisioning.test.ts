// A file declares projects; a start applies it. The service runs in this process on a database of its own; one test
// starts it as a process.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { flatline } from '../cli/run.ts'
import { adminToken, build, call, createReceiver, eventually, type Running, scratchDir } from '../helper.ts'
import { createDatabase, sql } from '../postgres.ts'
import { spawnService, startService } from '../scenarios/service.ts'

const example = join(import.meta.dirname, '../../examples/provision.yaml')
const secrets = {
  PAYMENTS_API_KEY: 'payments-api-key-000000000000001',
  PAYMENTS_SLACK_URL: 'http://127.0.0.1:9/services/secret-of-slack',
  PAYMENTS_PAGERDUTY_KEY: '0123456789abcdef0123456789abcdef',
  TICKETS_AUTHORIZATION: 'Bearer secret-of-tickets',
}
Object.assign(process.env, secrets)
const pingKey = 'payments-ping-key-0001'
const key = { 'x-api-key': secrets.PAYMENTS_API_KEY }

type Entry = Record<string, unknown> & { id: string; name: string }

/** The example, with the file of the ping key where this machine has it. */
async function exampleFile(t: TestContext): Promise<{ file: string; text: string }> {
  const dir = await scratchDir(t)
  await writeFile(join(dir, 'ping-key'), `${pingKey}\n`)
  const written = await readFile(example, 'utf8')
  const text = written.replace('/run/secrets/payments-ping-key', join(dir, 'ping-key'))
  assert.notEqual(text, written)
  const file = join(dir, 'provision.yaml')
  await writeFile(file, text)
  return { file, text }
}

async function fileOf(t: TestContext, text: string): Promise<string> {
  const file = join(await scratchDir(t), 'provision.yaml')
  await writeFile(file, text)
  return file
}

const listOf = async (running: Pick<Running, 'url'>, what: string, headers: Record<string, string> = key) =>
  Object.values((await call(running.url, 'GET', `/api/v3/${what}/`, undefined, headers)).json())[0] as Entry[]

const countsOf = async (url: string) => {
  const [row] = await sql<Record<string, string>>(
    url,
    `SELECT (SELECT count(*) FROM projects) AS projects, (SELECT count(*) FROM channels) AS channels, (SELECT count(*) FROM checks) AS checks,
       (SELECT count(*) FROM maintenance_windows) AS windows, (SELECT count(*) FROM audit WHERE action NOT IN ('service.shutdown', 'auth.success')) AS audit`,
  )
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, count]) => [name, Number(count)]))
}

test('the example is applied by two processes at once, once, and a second start changes nothing', async (t) => {
  const { file } = await exampleFile(t)
  const env = { PROVISION_FILE: file, DATABASE_URL: await createDatabase(t), ...secrets }
  const [one, two] = await Promise.all([startService(t, { env }), startService(t, { env })])
  const applied = [await one.event('provision.applied'), await two.event('provision.applied')]
  assert.deepEqual(applied.map(({ created }) => created).sort(), [0, 8], 'one of them applied it')

  const channels = await listOf(one, 'channels')
  assert.deepEqual(channels.map(({ kind, name }) => `${kind} ${name}`).sort(), [
    'group everybody',
    'pagerduty on call',
    'slack team chat',
    'webhook ticket system',
  ])
  const idOf = (name: string) => channels.find((channel) => channel.name === name)?.id
  assert.equal(idOf('on call'), '5b6a0f0e-4c1f-4e0c-9d57-0c6f7d1b2a11')
  const tickets = (await call(one.url, 'GET', `/api/v3/channels/${idOf('ticket system')}/`, undefined, key)).json()
  assert.deepEqual(tickets.alerts, {
    events: ['down'],
    quiet_hours: { from: '18:00', to: '08:00', tz: 'Europe/Riga' },
    escalate: { to: idOf('on call'), after: 1800 },
  })
  const [backup, restore] = (await listOf(one, 'checks')).sort((a, b) => (a.name < b.name ? -1 : 1))
  assert.deepEqual([backup?.channels, backup?.grace], [idOf('everybody'), 1800])
  assert.deepEqual([restore?.channels, restore?.parent], [idOf('team chat'), backup?.uuid], 'the default channel')
  const [window] = await listOf(one, 'maintenance')
  assert.deepEqual(window?.checks, [backup?.uuid])
  const ping = await fetch(`${one.url}/ping/${pingKey}/nightly-backup`)
  assert.equal(await ping.text(), 'OK')

  assert.deepEqual([await one.stop(), await two.stop()], [0, 0])
  const before = await countsOf(env.DATABASE_URL)
  const again = await startService(t, { env })
  const { created, updated, unchanged, extra, drifted } = await again.event('provision.applied')
  assert.deepEqual(
    { created, updated, unchanged, extra, drifted },
    {
      ...{ created: 0, updated: 0, unchanged: 8, extra: 0, drifted: 0 },
    },
  )
  assert.deepEqual(await countsOf(env.DATABASE_URL), before, 'no row and no audit entry')
  for (const secret of ['secret-of-slack', 'secret-of-tickets', pingKey, ...Object.values(secrets)])
    assert.ok(!(one.output() + two.output() + again.output()).includes(secret), secret)
})

test('what people change, delete or add is drift: a start reports it, and restores what the file has', async (t) => {
  const { file } = await exampleFile(t)
  const running = await build(t, { PROVISION_FILE: file, ENCRYPTION_KEY: 'ab'.repeat(32) })
  const [channel] = (await listOf(running, 'channels')).filter(({ name }) => name === 'team chat')
  const [backup] = (await listOf(running, 'checks')).filter(({ name }) => name === 'nightly backup')
  const [window] = await listOf(running, 'maintenance')
  const settings = { url: 'http://127.0.0.1:9/elsewhere' }
  await running.call('PATCH', `/api/v3/channels/${channel?.id}/`, { settings }, key)
  await running.call('POST', `/api/v3/checks/${backup?.uuid}`, { grace: 60 }, key)
  await running.call('DELETE', `/api/v3/maintenance/${window?.id}/`, undefined, key)
  await running.call('POST', '/api/v3/checks/', { name: 'by hand' }, key)
  const project = (await listOf(running, 'projects', { 'x-api-key': adminToken })).find(
    ({ name }) => name === 'payments',
  )
  const rotation = `/api/v3/projects/${project?.id}/keys/api_key/rotate/`
  assert.equal((await running.call('POST', rotation, undefined, { 'x-api-key': adminToken })).status, 200)
  const before = await countsOf(running.databaseUrl)
  const local = { DATABASE_URL: running.databaseUrl, ENCRYPTION_KEY: 'ab'.repeat(32), ...secrets }
  const dry = await flatline(['provision', '--dry-run'], '', { ...local, PROVISION_FILE: file })
  assert.deepEqual([dry.code, dry.stderr], [0, ''])
  assert.deepEqual(
    dry.stdout
      .replaceAll(/at 20[0-9T:.+-]+/g, 'at …')
      .trimEnd()
      .split('\n'),
    [
      'updated   keys        payments: api_key (drift: last changed by admin at …)',
      'updated   channel     payments: team chat: settings (drift: last changed by api_key at …)',
      'updated   check       payments: nightly backup: grace (drift: last changed by api_key at …)',
      'extra     check       payments: by hand',
      'created   maintenance payments: database upgrade (drift: last changed by api_key (deleted) at …)',
      '1 created, 3 updated, 5 unchanged, 1 extra (dry run: nothing was changed)',
    ],
  )
  assert.deepEqual(await countsOf(running.databaseUrl), before)
  await running.app.close()

  const service = await startService(t, {
    env: { PROVISION_FILE: file, DATABASE_URL: running.databaseUrl, ...secrets },
  })
  const drifted = service.lines().filter(({ event }) => event === 'provision.drift')
  assert.deepEqual(
    drifted.map(({ kind, name, action, fields = null, changedBy }) => [kind, name, action, fields, changedBy]),
    [
      ['keys', 'payments', 'updated', ['api_key'], 'admin'],
      ['channel', 'team chat', 'updated', ['settings'], 'api_key'],
      ['check', 'nightly backup', 'updated', ['grace'], 'api_key'],
      ['maintenance', 'database upgrade', 'created', null, 'api_key (deleted)'],
    ],
  )
  const extra = service.lines().filter(({ event }) => event === 'provision.extra')
  assert.deepEqual(
    extra.map(({ kind, name }) => [kind, name]),
    [['check', 'by hand']],
  )
  const checks = await listOf(service, 'checks')
  assert.equal(checks.find(({ name }) => name === 'nightly backup')?.grace, 1800)
  assert.ok(
    checks.some(({ name }) => name === 'by hand'),
    'what the file does not have stays',
  )
  assert.deepEqual(
    (await listOf(service, 'maintenance')).map(({ name, checks }) => [name, checks]),
    [['database upgrade', [backup?.uuid]]],
  )
  await service.stop()
  const actors = await sql<{ action: string; actor: string }>(
    running.databaseUrl,
    "SELECT action, actor FROM audit WHERE actor = 'provisioning' ORDER BY id DESC LIMIT 4",
  )
  assert.deepEqual(
    actors.map(({ action }) => action),
    ['maintenance.create', 'check.update', 'channel.update', 'project.write_key'],
  )
})

test('a file that the database refuses stops the start, and nothing of it is applied', async (t) => {
  const databaseUrl = await createDatabase(t)
  const first = await build(t, { DATABASE_URL: databaseUrl })
  const taken = (
    await first.call('POST', '/api/v3/channels/', {
      kind: 'slack',
      name: 'old',
      settings: { url: 'http://127.0.0.1:9/' },
    })
  ).json()
  for (const name of ['twice', 'twice']) await first.call('POST', '/api/v3/checks/', { name })
  await first.app.close()
  const before = await countsOf(databaseUrl)
  const begin =
    'projects:\n- name: new\n  channels:\n  - {kind: slack, name: a, settings: {url: http://127.0.0.1:9/}}\n'
  const cases: [yaml: string, problem: string][] = [
    [
      '- name: other\n  keys: {api_key: test-api-key-0000000000000000000}\n',
      '6: projects[1].keys.api_key belongs to another project',
    ],
    [
      '- name: default\n  channels: [{kind: webhook, name: old, settings: {url: http://127.0.0.1:9/}}]\n',
      '6: projects[1].channels[0].kind must stay slack: a channel of another kind needs another name',
    ],
    [
      `- name: other\n  channels: [{kind: slack, name: b, id: ${taken.id}, settings: {url: http://127.0.0.1:9/}}]\n`,
      '6: projects[1].channels[0].id is taken by another channel',
    ],
    [
      '- name: other\n  channels: [{kind: group, name: b, settings: {channels: [nobody]}}]\n',
      '6: projects[1].channels[0].channels invalid channel identifier: nobody',
    ],
    [
      '- name: other\n  checks: [{name: c, channels: [nobody]}]\n',
      '6: projects[1].checks[0]: invalid channel identifier: nobody',
    ],
    [
      '- name: default\n  checks: [{name: twice}]\n',
      '6: projects[1].checks[0]: several checks have this name: give the uuid of one',
    ],
    [
      '- name: other\n  maintenance: [{name: m, cron: "0 3 * * *", duration: 60, checks: [nobody]}]\n',
      '6: projects[1].maintenance[0].checks names no check: nobody',
    ],
  ]
  for (const [yaml, problem] of cases) {
    const file = await fileOf(t, begin + yaml)
    await assert.rejects(build(t, { DATABASE_URL: databaseUrl, PROVISION_FILE: file }), {
      message: `${file}:${problem}`,
    })
  }
  assert.deepEqual(await countsOf(databaseUrl), before)
})

test('an invalid file ends the process before it listens, with one line and status 1', async (t) => {
  const file = await fileOf(
    t,
    'projects:\n- name: a\n  channels:\n  - kind: slack\n    name: b\n    settings: {url: {env: NOWHERE_SET}}\n',
  )
  const service = await spawnService(t, { PROVISION_FILE: file })
  assert.equal(await service.exited, 1)
  const problem = 'projects[0].channels[0].settings.url needs the environment variable NOWHERE_SET, which is not set'
  assert.equal(service.output(), `cannot start: ${file}:6: ${problem}\n`)
})

test('SLACK_WEBHOOK_URL and PAGERDUTY_KEY make channels that checks have by default', async (t) => {
  const databaseUrl = await createDatabase(t)
  const { url, received } = await createReceiver(t)
  const before = await build(t, { DATABASE_URL: databaseUrl })
  const old = (await before.call('POST', '/api/v3/checks/', { name: 'old' })).json()
  await before.app.close()
  const env = {
    DATABASE_URL: databaseUrl,
    SLACK_WEBHOOK_URL: `${url}/slack`,
    PAGERDUTY_KEY: secrets.PAYMENTS_PAGERDUTY_KEY,
    FLATLINE__ALERTING__SERVICE_LOOK_MS: '50',
  }
  const running = await build(t, env)
  const listed = (await running.call('GET', '/api/v3/channels/')).json().channels as Entry[]
  const channels = listed.sort((a, b) => (a.name < b.name ? 1 : -1))
  assert.deepEqual(
    channels.map(({ kind, name }) => [kind, name]),
    [
      ['slack', 'SLACK_WEBHOOK_URL'],
      ['pagerduty', 'PAGERDUTY_KEY'],
    ],
  )
  const both = channels
    .map(({ id }) => id)
    .sort()
    .join(',')
  const created = (await running.call('POST', '/api/v3/checks/', { name: 'new' })).json()
  const silent = (await running.call('POST', '/api/v3/checks/', { name: 'silent', channels: '' })).json()
  const [oldNow] = ((await running.call('GET', '/api/v3/checks/')).json().checks as Entry[]).filter(
    ({ uuid }) => uuid === old.uuid,
  )
  assert.deepEqual([oldNow?.channels, created.channels, silent.channels], [both, both, ''])
  const ping = String(created.ping_url)
  await fetch(ping)
  await fetch(`${ping}/fail`)
  await eventually('the alert', () => received.find(({ url, body }) => url === '/slack' && body.includes('new')))
  const breaker = running.app.circuitBreakers.get('pigeon:1', 'pigeon')
  for (let n = 0; n < 5; n++) breaker.beginAnyway().fail('away')
  await eventually('an alert about the service itself', () => received.find(({ body }) => body.includes('pigeon')))

  // A channel that is deleted while the service runs is no default any more.
  await running.call('DELETE', `/api/v3/channels/${channels[1]?.id}/`)
  const third = (await running.call('POST', '/api/v3/checks/', { name: 'third' })).json()
  assert.equal(third.channels, channels[0]?.id)
  await running.app.close()
  const changed = await build(t, { ...env, SLACK_WEBHOOK_URL: `${url}/other` })
  const audit = (await changed.call('GET', '/api/v3/audit/?actor=provisioning&limit=2')).json().entries as Entry[]
  assert.deepEqual(
    audit.map(({ action }) => action),
    ['channel.create', 'channel.update'],
  )
})

test('keys of the default project in the file are its keys from the first start on', async (t) => {
  const file = await fileOf(t, `projects:\n- name: default\n  keys: {api_key: ${secrets.PAYMENTS_API_KEY}}\n`)
  const running = await build(t, { PROVISION_FILE: file, BOOTSTRAP_API_KEY: '' })
  assert.equal((await running.call('GET', '/api/v3/checks/', undefined, key)).status, 200)
  const audit = (await running.call('GET', '/api/v3/audit/?actor=provisioning', undefined, key)).json().entries
  assert.deepEqual(audit, [])
})

test('a dry run says in one line why it cannot run', async (t) => {
  const { file } = await exampleFile(t)
  const databaseUrl = await createDatabase(t)
  await sql(databaseUrl, 'DROP TABLE IF EXISTS maintenance_windows')
  const env = { DATABASE_URL: databaseUrl, ENCRYPTION_KEY: 'ab'.repeat(32), ...secrets }
  const cases: [args: string[], env: Record<string, string>, problem: RegExp][] = [
    [[], env, /^usage: flatline provision --dry-run \[FILE\]\n/],
    [['--dry-run', '--colour'], env, /^Unknown option '--colour'/],
    [['--dry-run'], env, /^nothing is declared: set PROVISION_FILE, or name a file\n$/],
    [
      ['--dry-run', file],
      { ...env, PAYMENTS_API_KEY: '' },
      /^.*:\d+: projects\[0\]\.keys\.api_key needs the environment variable PAYMENTS_API_KEY, which is empty\n$/,
    ],
    [
      ['--dry-run', file],
      env,
      /^the database is empty, or of an older version: the start of this version migrates it\n$/,
    ],
  ]
  for (const [args, variables, problem] of cases) {
    const { code, stdout, stderr } = await flatline(['provision', ...args], '', variables)
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, problem)
  }
})
