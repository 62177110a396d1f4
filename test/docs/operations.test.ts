// Compares docs/operations.md with the settings and metrics that it names, and with the load balancer's checks, which
// the rolling test uses too.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/schema.ts'
import { scratchDir } from '../helper.ts'
import { needsTool } from '../tools.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const page = read('docs/operations.md')

test('docs/operations.md has a section for every task of operators', () => {
  const headings = [...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
  for (const wanted of [
    'A deployment',
    'Sizing',
    'Scaling out',
    'Rolling out a version',
    'Schema changes without downtime',
    'Blue-green',
    'Rolling back',
    'Backup and disaster recovery',
    'A second region',
    'Upgrading PostgreSQL',
    'Rotating keys',
    'Questions and answers',
    'Security checklist',
    'Deployment checklist',
  ])
    assert.ok(headings.includes(wanted), wanted)
  assert.match(page, /^Every quarter: restore a backup .*promote a standby, and measure both\.$/m)
})

test('every setting that docs/operations.md names exists', () => {
  const [ofNode, ofCompose] = ['NODE_OPTIONS', 'FLATLINE_REPLICAS']
  const known = new Set<string | undefined>([
    ofNode,
    ofCompose,
    ...settings.flatMap(({ variable, alias }) => [variable, alias]),
  ])
  const named = [...page.matchAll(/`([A-Z]+(?:_{1,2}[A-Z]+)+)(?:=[^`]*)?`/g)].map(([, name]) => name as string)
  assert.ok(named.length > 20)
  const unknown = named.filter((name) => !known.has(name) && !known.has(name.replace(/_FILE$/, '')))
  assert.deepEqual(unknown, [])
})

test('docs/operations.md says how to replace every secret', () => {
  const section = /## Rotating keys\n([\s\S]*?)\n## /.exec(page)?.[1] ?? ''
  const secrets = settings.filter(({ secret, path }) => secret && path.startsWith('security.'))
  const missing = secrets.filter(
    ({ name }) => !section.includes(name) && !(/^BOOTSTRAP_/.test(name) && section.includes('BOOTSTRAP_*')),
  )
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  )
})

test('every metric that docs/operations.md names is in docs/metrics.md', () => {
  const named = page.matchAll(/`(?:rate\()?([a-z]+(?:_[a-z]+)*_(?:total|seconds|waiting|length))\b/g)
  const metrics = read('docs/metrics.md')
  const names = [...new Set([...named].map(([, name]) => name as string))]
  assert.ok(names.length > 5)
  const unknown = names.filter((name) => !metrics.includes(`\`${name}\``) && !/^process_/.test(name))
  assert.deepEqual(unknown, [])
})

test('every HAProxy configuration has the same checks, which detect a drain in time', () => {
  const files = [
    'docs/operations.md',
    'test/scenarios/replicas/balancer.ts',
    ...globSync('compose/haproxy.cfg', { cwd: root }),
  ]
  const checks = files.map((file) => /check inter (\d+)s fall (\d+) rise (\d+)/.exec(read(file)))
  for (const [index, check] of checks.entries()) assert.equal(check?.[0], checks[0]?.[0], files[index])
  const [, inter, fall] = (checks[0] ?? []).map(Number)
  const { drainMs } = loadConfig({ env: {} }).server
  const answerMs = 1000
  assert.ok(Number(inter) * Number(fall) * 1000 + answerMs < drainMs)
})

test('HAProxy accepts the example', { skip: needsTool('haproxy') }, async (t) => {
  const example = /```\n(backend replicas\n[\s\S]*?)```/.exec(page)?.[1] ?? ''
  const dir = await scratchDir(t)
  const file = join(dir, 'haproxy.cfg')
  const around = 'defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 65s\n'
  const front = `frontend front\n  bind unix@${join(dir, 'front.sock')}\n  default_backend replicas\n`
  await writeFile(file, `${around}${front}${example}`)
  const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /WARNING/)
})
