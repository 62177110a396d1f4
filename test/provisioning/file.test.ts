// Files that each break one rule. No service is started.

import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { transports } from '../../src/channels/transports.ts'
import { readProvisionFile } from '../../src/provisioning/file.ts'
import { readProjects } from '../../src/provisioning/schema.ts'

const dir = mkdtempSync(join(tmpdir(), 'flatline-'))
const file = join(dir, 'provision.yaml')
writeFileSync(join(dir, 'empty'), '\n')
writeFileSync(join(dir, 'secret'), 'https://hooks.example.org/from-a-file\n')
process.env.PROVISION_TEST_EMPTY = ''
process.env.PROVISION_TEST_URL = 'https://hooks.example.org/from-the-environment'
const bootstrap = { ping_key: 'test-ping-key-00000000' }

function read(text: string) {
  writeFileSync(file, text)
  const capabilities = { smtp: null, shell: false }
  return readProjects(readProvisionFile(file), { transports, capabilities, bootstrap })
}

const project = (rest: string) => `projects:\n- name: a\n${rest.replace(/^/gm, '  ')}\n`
const channel = (text: string) => project(`channels:\n- ${text}`)
const key = 'k'.repeat(32)

const refused: [name: string, text: string, problem: string][] = [
  ['not YAML', 'projects: [\n', ':2: is not valid YAML (bad_indent)'],
  ['nothing', '', ':1: must be a mapping that begins with "projects:"'],
  ['a list', '- a\n', ':1: must be a mapping that begins with "projects:"'],
  ['no projects', 'x-a: 1\n', ':1: projects is required'],
  ['an unknown field', 'projects: [{name: a}]\npeople: []\n', ':2: people is not a known field'],
  ['an unknown field of a project', project('colour: red'), ':3: projects[0].colour is not a known field'],
  [
    'a project twice',
    'projects:\n- name: a\n- name: a\n',
    ':3: projects[1].name is the name of another project of this file',
  ],
  ['a key twice in a mapping', 'projects:\n- name: a\n  name: b\n', ':3: is not valid YAML (duplicate_key)'],
  ['no name', 'projects:\n- checks: []\n', ':2: projects[0].name is required'],
  [
    'a short key',
    project('keys:\n  api_key: short'),
    ':4: projects[0].keys.api_key must be exactly 32 characters of A-Z a-z 0-9 _ -',
  ],
  [
    'a key that is no text',
    project('keys:\n  api_key: [1]'),
    ':4: projects[0].keys.api_key must be a string, { env: NAME } or { file: /path }',
  ],
  ['an unknown key', project('keys:\n  admin: x'), ':4: projects[0].keys.admin is not a known field'],
  [
    'one key for two',
    project(`keys:\n  api_key: ${key}\n  api_key_readonly: ${key}`),
    ':5: projects[0].keys.api_key_readonly has the same value as api_key of project a',
  ],
  [
    'a key that the environment sets',
    'projects:\n- name: default\n  keys: {ping_key: another-ping-key-00000}\n',
    ':3: projects[0].keys.ping_key differs from BOOTSTRAP_PING_KEY, which sets the same key; keep one of them',
  ],
  [
    'a variable that is not set',
    project('keys:\n  api_key: {env: PROVISION_TEST_NONE}'),
    ':4: projects[0].keys.api_key needs the environment variable PROVISION_TEST_NONE, which is not set',
  ],
  [
    'an empty variable',
    project('keys:\n  api_key: {env: PROVISION_TEST_EMPTY}'),
    ':4: projects[0].keys.api_key needs the environment variable PROVISION_TEST_EMPTY, which is empty',
  ],
  [
    'a missing file',
    channel(`{kind: slack, name: b, settings: {url: {file: ${dir}/none}}}`),
    `:4: projects[0].channels[0].settings.url needs the file ${dir}/none, which cannot be read (ENOENT)`,
  ],
  [
    'an empty file',
    channel(`{kind: slack, name: b, settings: {url: {file: ${dir}/empty}}}`),
    `:4: projects[0].channels[0].settings.url needs the file ${dir}/empty, which is empty`,
  ],
  [
    'an unknown kind',
    channel('{kind: pigeon, name: b, settings: {}}'),
    `:4: projects[0].channels[0].kind must be one of ${Object.keys(transports).sort().join(', ')}`,
  ],
  [
    'a kind that is off',
    channel('{kind: shell, name: b, settings: {}}'),
    ':4: projects[0].channels[0].kind shell is switched off by the operator of this service (ALLOW_SHELL_CHANNELS)',
  ],
  [
    'a missing setting',
    channel('{kind: slack, name: b, settings: {}}'),
    ':4: projects[0].channels[0].settings.url is required',
  ],
  [
    'an invalid setting',
    channel('kind: pagerduty\n  name: b\n  settings:\n    routing_key: x'),
    ':7: projects[0].channels[0].settings.routing_key must be an integration key: 32 letters and digits',
  ],
  [
    'an unknown setting',
    channel('{kind: slack, name: b, settings: {url: "https://a.example", colour: red}}'),
    ':4: projects[0].channels[0].settings.colour is not a known field',
  ],
  [
    'an unknown field of a channel',
    channel('{kind: slack, name: b, settings: {}, colour: red}'),
    ':4: projects[0].channels[0].colour is not a known field',
  ],
  [
    'an unknown severity',
    channel('{kind: slack, name: b, settings: {}, alerts: {severities: [loud]}}'),
    ':4: projects[0].channels[0].alerts.severities[0] must be one of info, warning, critical',
  ],
  [
    'a channel twice',
    channel('&c {kind: slack, name: b, settings: {url: "https://a.example"}}\n- *c'),
    ':5: projects[0].channels[1].name is the name of another channel of this project',
  ],
  [
    'an unknown field of a check',
    project('checks:\n- {name: c, colour: red}'),
    ':4: projects[0].checks[0].colour is not a known field',
  ],
  [
    'an invalid schedule',
    project('checks:\n- name: c\n  schedule: often'),
    ':5: projects[0].checks[0].schedule is not a valid cron or OnCalendar expression',
  ],
  [
    'a window without a time',
    project('maintenance:\n- name: m'),
    ':4: projects[0].maintenance[0].from is required, or cron and duration',
  ],
  [
    'a window that ends first',
    project('maintenance:\n- {name: m, from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z"}'),
    ':4: projects[0].maintenance[0].to must be later than from',
  ],
]

test('each broken rule is one line with the file, the line, the place and the rule', () => {
  for (const [name, text, problem] of refused)
    assert.throws(() => read(text), { name: 'ProvisionError', message: file + problem }, name)
  assert.throws(() => readProvisionFile(join(dir, 'none')), {
    message: `PROVISION_FILE ${dir}/none cannot be read (ENOENT)`,
  })
})

test('secrets come from the environment and from files, also in JSON', () => {
  const settings = (text: string) => read(text)[0]?.channels[0]?.definition.settings
  const json = (setting: object) =>
    JSON.stringify({ projects: [{ name: 'a', channels: [{ kind: 'webhook', name: 'b', settings: setting }] }] })
  assert.deepEqual(settings(json({ url: { env: 'PROVISION_TEST_URL' } })), {
    url: 'https://hooks.example.org/from-the-environment',
  })
  // The mapping of headers may have a header with the name of a reference.
  assert.deepEqual(settings(json({ url: { file: join(dir, 'secret') }, headers: { env: 'PROVISION_TEST_URL' } })), {
    url: 'https://hooks.example.org/from-a-file',
    headers: { env: 'PROVISION_TEST_URL' },
  })
  const token = { env: 'PROVISION_TEST_URL' }
  assert.deepEqual(settings(json({ url: 'https://a.example', headers: { token } })), {
    url: 'https://a.example',
    headers: { token: 'https://hooks.example.org/from-the-environment' },
  })
})
