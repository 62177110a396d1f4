// The samples for log shippers, in monitoring/logs and compose/vector, with lines of the real service: every field that
// they name is in the lines, and every time format reads them. The shippers themselves are in no registry that tests
// use; where one is installed, it validates its sample.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { call, keys } from '../../helper.ts'
import { createDatabase } from '../../postgres.ts'
import { startService } from '../../scenarios/service.ts'

type Line = Record<string, unknown> & { time: string }
type Vector = {
  transforms: { lines: { source: string } }
  sinks?: { loki: { labels: Record<string, string> } }
  tests: { inputs: { log_fields: { message: string } }[] }[]
}

const root = new URL('../../..', import.meta.url).pathname
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const files = ['/var/log/flatline/flatline.log', '/var/log/flatline/flatline.error.log']

test('the samples for log shippers read the lines of the service', async (t) => {
  const service = await startService(t, { env: { DATABASE_URL: await createDatabase(t) } })
  await call(service.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': keys.api_key })
  await call(service.url, 'GET', '/api/v3/checks/', undefined, { 'x-api-key': 'wrong' })
  await service.event('auth.failure')
  assert.equal(await service.stop(), 0)
  const lines = service.lines() as Line[]
  assert.ok(lines.length > 5)
  const fields = new Set(lines.flatMap((line) => Object.keys(line)))
  const ofAll = [...fields].filter((name) => lines.every((line) => name in line))
  const known = (names: Iterable<string>, where: string) =>
    assert.deepEqual(
      [...names].filter((name) => !ofAll.includes(name)),
      [],
      where,
    )

  await t.test('Vector, from the file and from containers', () => {
    for (const path of ['monitoring/logs/vector.yaml', 'compose/vector/containers.yaml']) {
      const { transforms, sinks, tests } = parse(read(path)) as Vector
      const { source } = transforms.lines
      const assigned = new Set([...source.matchAll(/^\s*(?:if .*\{ )?\.(\w+) = /gm)].map(([, name]) => name))
      const named = [...source.matchAll(/(?<![\w."])\.([a-z_]+)\b/g)].map(([, name = '']) => name)
      // `message` is Vector's own name for the line that it has read.
      known(
        named.filter((name) => name !== 'message' && !assigned.has(name)),
        path,
      )
      assert.ok(named.includes('time'))
      const labels = Object.values(sinks?.loki.labels ?? {}).map((label) => label.replace(/^\{\{ (\w+) \}\}$/, '$1'))
      known(labels, path)
      for (const { inputs } of tests) {
        const input = JSON.parse(inputs[0]?.log_fields.message ?? '')
        const line = 'log' in input ? (input.log.startsWith('{') ? JSON.parse(input.log) : {}) : input
        known(
          Object.keys(line).filter((name) => name !== 'event'),
          `a test of ${path}`,
        )
      }
    }
  })

  await t.test('the destinations of the Compose profile label lines by fields that they have', () => {
    const { source } = (parse(read('compose/vector/containers.yaml')) as Vector).transforms.lines
    const options = parse(read('docker-compose.yml'))['x-service'].logging.options.labels.split(',')
    const attributes = [...source.matchAll(/attrs\."([\w.]+)"/g)].map(([, name]) => name)
    assert.deepEqual(attributes.sort(), options.sort(), 'the labels that the engine writes on each line')
    for (const name of ['console', 'loki', 'cloudwatch', 'http']) {
      const sinks = Object.values(parse(read(`compose/vector/to-${name}.yaml`)).sinks) as { inputs: string[] }[]
      assert.deepEqual(
        sinks.map(({ inputs }) => inputs),
        [['lines']],
        name,
      )
      const labels = [...JSON.stringify(sinks).matchAll(/\{\{ (\w+) \}\}/g)].map(([, label = '']) => label)
      known(
        labels.filter((label) => label !== 'container'),
        name,
      )
    }
    assert.match(source, /^\s*\.container = /m)
  })

  await t.test('Fluent Bit', () => {
    const { parsers, pipeline } = parse(read('monitoring/logs/fluent-bit.yaml'))
    const [parser] = parsers
    known([parser.time_key], 'time_key')
    const format = strptime(parser.time_format)
    for (const line of lines) assert.match(line.time, format)
    const [{ labels, label_keys }] = pipeline.outputs
    known(
      `${labels},${label_keys}`.split(',').map((label) => label.replace(/^.*\$/, '')),
      'labels',
    )
    assert.equal(pipeline.inputs[0].parser, parser.name)
    assert.equal(pipeline.inputs[0].path, files[0])
  })

  await t.test('Alloy', () => {
    const sample = read('monitoring/logs/config.alloy')
    const block = (name: string, key: string) =>
      new RegExp(`stage\\.${name} \\{\\s+${key}\\s+= \\{([^}]+)\\}`).exec(sample)?.[1] ?? ''
    const pairs = (body: string) =>
      [...body.matchAll(/^\s+(\w+)\s+= "(\w*)",$/gm)].map(([, key, value]) => [key, value])
    const expressions = pairs(block('json', 'expressions'))
    known(
      expressions.map(([, value = '']) => value),
      'expressions',
    )
    const extracted = expressions.map(([key]) => key)
    for (const [label] of pairs(block('labels', 'values'))) assert.ok(extracted.includes(label), label)
    const [, source, format] = /stage\.timestamp \{\s+source = "(\w+)"\s+format = "(\w+)"/.exec(sample) ?? []
    assert.ok(extracted.includes(source))
    assert.equal(format, 'RFC3339Nano')
    for (const { time } of lines) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/)
    assert.ok(sample.includes(`"${files[0]}"`))
    const ids = [...sample.matchAll(/^([\w.]+) "(\w+)" \{$/gm)].map(([, kind, name]) => `${kind}.${name}`)
    for (const [, to] of sample.matchAll(/= \[?([\w.]+)\.(?:receiver|targets)\]?$/gm))
      assert.ok(ids.includes(String(to)), to)
  })

  await t.test('CloudWatch', () => {
    const { collect_list } = JSON.parse(read('monitoring/logs/cloudwatch-agent.json')).logs.logs_collected.files
    assert.deepEqual(
      collect_list.map(({ file_path }: { file_path: string }) => file_path),
      files,
    )
    for (const { timestamp_format } of collect_list) {
      const format = strptime(timestamp_format)
      for (const line of lines) assert.match(JSON.stringify(line), new RegExp(`"time":"${format.source.slice(1, -1)}"`))
    }
  })

  await t.test('docs/logging.md maps fields that exist to those of the Elastic Common Schema', () => {
    const [, section = ''] = read('docs/logging.md').split('## Shipping')
    const mapped = [...section.matchAll(/^\| `([\w.]+)` \| `([\w@.]+)` \|$/gm)].map(([, field = '']) => field)
    assert.ok(mapped.length >= 8)
    const has = (field: string) =>
      lines.some((line) => field.split('.').reduce<unknown>((value, key) => (value as Line)?.[key], line) !== undefined)
    assert.deepEqual(
      mapped.filter((field) => !has(field)),
      [],
    )
  })
})

test('an installed shipper validates its sample', (t) => {
  const commands: [program: string, ...args: string[]][] = [
    ['vector', 'test', 'monitoring/logs/vector.yaml'],
    ['vector', 'test', 'compose/vector/containers.yaml'],
    ['fluent-bit', '--dry-run', '--config', 'monitoring/logs/fluent-bit.yaml'],
    ['alloy', 'validate', 'monitoring/logs/config.alloy'],
  ]
  const installed = commands.filter(([program]) => !spawnSync(program, ['--version']).error)
  const missing = new Set(
    commands.map(([program]) => program).filter((name) => !installed.some(([one]) => one === name)),
  )
  for (const [program, ...args] of installed) {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: 'utf8' })
    assert.equal(status, 0, `${program} ${args.join(' ')}\n${stdout}${stderr}`)
  }
  if (missing.size > 0) t.skip(`NOT VALIDATED by ${[...missing].join(', ')}: not installed, and not in Debian or npm`)
})

/** A format of times as a regular expression for the whole text. */
function strptime(format: string): RegExp {
  const parts: Record<string, string> = {
    Y: '\\d{4}',
    m: '(?:0\\d|1[0-2])',
    d: '[0-3]\\d',
    H: '[0-2]\\d',
    M: '[0-5]\\d',
    S: '[0-6]\\d',
    L: '\\d{1,9}',
    f: '\\d{1,9}',
  }
  const source = format.replace(/\./g, '\\.').replace(/%(\w)/g, (_, letter: string) => parts[letter] ?? `%${letter}`)
  return new RegExp(`^${source}$`)
}
