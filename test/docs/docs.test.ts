// Compares documents with the code and the files that they describe.

import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import client from '@prometheus-io/client'
import { transports } from '../../src/channels/transports.ts'
import type { Transport } from '../../src/channels/wire/transport.ts'
import { statusOf } from '../../src/http/errors.ts'
import { dialects } from '../../src/ingest/dialects/all.ts'
import { createDomainMetrics } from '../../src/metrics/domain.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const pages = globSync(['*.md', 'docs/**/*.md', 'k8s/*.md'], { cwd: root })

test('docs/metrics.md lists the metrics of src/metrics/domain.ts with type, labels and meaning', () => {
  const registry = new client.Registry()
  createDomainMetrics(client, registry)
  const made = registry.getMetricsAsArray() as unknown as MadeMetric[]
  const rows = made.map(({ name, type, labelNames, help }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ')
    return `| \`${name}\` | ${type} | ${labels} | ${help} |`
  })
  assert.deepEqual(tableOf('docs/metrics.md'), rows.sort())
})

test('docs/errors.md lists the codes of src/http/errors.ts with their statuses and what they mean', () => {
  const rows = tableOf('docs/errors.md').map((row) => row.split(' | '))
  const listed = rows.map(([code, status]) => [code?.replace(/^\| /, ''), Number(status)])
  const known = Object.entries(statusOf).map(([code, status]) => [`\`${code}\``, status])
  assert.deepEqual(listed, known.sort())
  for (const [code, , meaning] of rows) assert.ok(meaning && meaning.length > 10, `${code} has no meaning`)
})

test('docs/protocols.md has a row for each dialect, with its source and its addresses', () => {
  const rows = tableOf('docs/protocols.md')
  for (const dialect of dialects) {
    const { name, source } = dialect
    const row = rows.find((one) => one.startsWith(`| ${name} |`)) ?? ''
    assert.ok(row.includes(source), name)
    const paths = dialect.kind === 'listener' ? [] : dialect.routes.filter(({ isAlias }) => !isAlias)
    for (const { path } of paths) assert.ok(row.includes(path.split(':', 1)[0] ?? path), `${name}: ${path}`)
  }
  // The parameter of Cronitor is a part of the first.
  const others = rows.filter((row) => !dialects.some(({ name }) => row.startsWith(`| ${name} |`)))
  assert.deepEqual(
    others.map((row) => row.split(' | ')[0]),
    ['| The `state` of Cronitor'],
  )
})

test('docs/channels.md has a row for each kind of channel, with its settings and which are required', () => {
  const common = ['body', 'title']
  const start = read('docs/channels.md').split('## Kinds')[1] ?? ''
  const rows = [...start.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].map(([, kind, cell]) => [
    kind,
    cell?.split(', ').sort(),
  ])
  const kinds = Object.values<Transport>(transports).map(({ kind, settings }) => {
    const { properties, required = [] } = settings as unknown as { properties: object; required?: string[] }
    const own = Object.keys(properties).filter((name) => kind === 'webhook' || !common.includes(name))
    return [kind, own.map((name) => `\`${name}\`${required.includes(name) ? '' : '?'}`).sort()]
  })
  assert.deepEqual(rows.sort(), kinds.sort())
  for (const [kind, transport] of Object.entries<Transport>(transports)) assert.equal(transport.kind, kind)
})

test('every kind of channel has its own file and a test', () => {
  const names = (dir: string, end: string) =>
    readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith(end))
      .map((path) => basename(path, end))
  assert.deepEqual(names('src/channels/transports', '.ts').sort(), Object.keys(transports).sort())
  const elsewhere: Record<string, string> = { call: 'twilio', sms: 'twilio', jsm: 'opsgenie' }
  const tested = [...names('test/channels', '.test.ts'), 'group']
  const missing = Object.keys(transports).filter((kind) => !tested.includes(elsewhere[kind] ?? kind))
  assert.deepEqual(missing, [])
})

test('ARCHITECTURE.md names every folder of src', () => {
  const text = read('ARCHITECTURE.md')
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const missing = folders.map(({ name }) => name).filter((name) => !text.includes(`${name}/`))
  assert.deepEqual(missing, [])
})

test('every npm command in the pages exists', () => {
  const builtIn = ['install', 'ci', 'cit', 'start', 'test']
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = pages.flatMap((page) =>
    [...read(page).matchAll(/(?:^|`|&& )npm (run )?([a-z]+)\b/gm)].map(([, run, name]) => ({
      page,
      run,
      name: name as string,
    })),
  )
  const unknown = named.filter(({ run, name }) => (run ? !Object.hasOwn(scripts, name) : !builtIn.includes(name)))
  assert.deepEqual(unknown, [])
  assert.ok(scripts.start && scripts.test)
})

test('the first screen of the README contains the commands that run and test Flatline', () => {
  const firstScreen = read('README.md').split('\n').slice(0, 40).join('\n')
  assert.match(firstScreen, /npm install && npm start/)
  assert.match(firstScreen, /npm cit/)
})

test('every relative link in the pages leads to an existing file and heading', () => {
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)/g)].flatMap(([link, path, heading]) => {
      const target = path ? join(dirname(page), path) : page
      if (!existsSync(join(root, target))) return [`${page}: ${link}`]
      return heading && !headingsOf(target).includes(heading) ? [`${page}: ${link}`] : []
    }),
  )
  assert.deepEqual(broken, [])
})

test('every decision record is listed on the index page', () => {
  const records = readdirSync(join(root, 'docs/adr')).filter((name) => /^\d{4}-.*\.md$/.test(name))
  const index = read('docs/adr/README.md')
  assert.deepEqual(
    records.filter((name) => !index.includes(`(${name})`)),
    [],
  )
})

test('package-lock.json names no registry, so that any mirror can serve it', () => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved": "https?:/)
})

type MadeMetric = { name: string; type: string; labelNames: string[]; help: string }

/** The sorted rows, without head, of a page's first table. */
function tableOf(page: string): string[] {
  const lines = read(page).split('\n')
  const start = lines.findIndex((line) => /^\|[-|: ]+\|$/.test(line)) + 1
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith('|'))
  return lines.slice(start, end === -1 ? undefined : end).sort()
}

/** As a forge writes them into the address. */
function headingsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
