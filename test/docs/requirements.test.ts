// docs/requirements.md must be complete, and must name only files that exist.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { settings } from '../../src/config/schema.ts'

const docs = join(import.meta.dirname, '../../docs')
const text = readFileSync(join(docs, 'requirements.md'), 'utf8')

/** How each founding document is numbered, gaps and one insertion included; its heading begins with the name. */
const numbered: [document: string, ...ids: (string | [first: number, last: number])[]][] = [
  ['C', [1, 14]],
  ['000', [1, 59]],
  ['001', [1, 61], '61b', [62, 80]],
  ['002', [1, 50], [60, 82]],
  ['003', [1, 64]],
  ['004', [1, 74]],
]
const kinds = ['met', 'mapped', 'partly', 'not met'] as const

type Row = { id: string; section: string; requirement: string; metBy: string; shownBy: string }

const rows = readRows()

test('every requirement has one row, in order, below the heading of its document', () => {
  const expected = numbered.flatMap(([document, ...ids]) =>
    ids.flatMap((part) =>
      typeof part === 'string' ? [`${document}-${part}`] : span(...part).map((number) => idOf(document, number)),
    ),
  )
  assert.deepEqual(
    rows.map(({ id }) => id),
    expected,
  )
  const misplaced = rows.filter(
    ({ id, section }) => !section.startsWith(id.startsWith('C-') ? 'Rulings' : id.slice(0, 3)),
  )
  assert.deepEqual(misplaced, [])
})

test('a row that claims to be met links to the implementation and to a test', () => {
  const unproven = rows.filter(
    (row) => kindOf(row) === 'met' && !(sources(row.metBy).length > 0 && tests(row.shownBy).length > 0),
  )
  assert.deepEqual(unproven, [])
})

test('a row that is mapped or partly met links to what exists and to a test; one that is not met says why', () => {
  const bare = rows.filter((row) => {
    const kind = kindOf(row)
    if (kind === 'mapped' || kind === 'partly')
      return sources(row.metBy).length === 0 || tests(row.shownBy).length === 0
    return kind === 'not met' && !row.metBy.includes('because')
  })
  assert.deepEqual(bare, [])
})

test('the last cell of a row is links to tests under their names, each once, or a dash if it is not met', () => {
  const wrong = rows.flatMap((row) => {
    const parts = row.shownBy.split(', ')
    if (kindOf(row) === 'not met' && row.shownBy === '—') return []
    const odd = parts.filter((part) => {
      const [, label, path] = /^\[([^\]]+)\]\(\.\.\/test\/([^)#]+\.test\.ts)\)$/.exec(part) ?? []
      return path === undefined || label !== path
    })
    return [...odd, ...parts.filter((part, index) => parts.indexOf(part) !== index)].map((part) => `${row.id}: ${part}`)
  })
  assert.deepEqual(wrong, [])
})

test('a row that names source code is shown by a test that runs it, not only by tests of pages', () => {
  const unrun = rows.filter(
    ({ metBy, shownBy }) =>
      sources(metBy).some((path) => path.startsWith('../src/')) &&
      tests(shownBy).length > 0 &&
      tests(shownBy).every((path) => path.startsWith('../test/docs/')),
  )
  assert.deepEqual(unrun, [])
})

test('every file that a row names exists, sources before tests', () => {
  const wrong = rows.flatMap(({ id, metBy, shownBy }) => [
    ...[...links(metBy), ...links(shownBy)]
      .filter((path) => !existsSync(join(docs, path)))
      .map((path) => `${id}: ${path}`),
    ...links(shownBy)
      .filter((path) => !isTest(path))
      .map((path) => `${id}: ${path} is not a test`),
  ])
  assert.deepEqual(wrong, [])
})

test('every setting and log event that a row names exists', () => {
  const events = readFileSync(join(docs, 'logging.md'), 'utf8')
  const paths = settings.map(({ path }) => path)
  const sections = new Set(paths.map((path) => path.split('.')[0]))
  const unknown = rows.flatMap(({ id, metBy }) =>
    [...metBy.matchAll(/`([a-z]\w*)\.(\w+)`/g)]
      .filter(([name, section = '']) => sections.has(section) && !events.includes(name))
      .filter(([, section, key]) => !paths.includes(`${section}.${key}`))
      .map(([name]) => `${id}: ${name}`),
  )
  assert.deepEqual(unknown, [])
})

test('every row summarises its requirement and fills its cells', () => {
  const poor = rows.filter(
    ({ requirement, metBy, shownBy }) => requirement.length < 4 || requirement.length > 120 || !metBy || !shownBy,
  )
  assert.deepEqual(poor, [])
})

test('the counts at the top equal those of the rows', () => {
  const counted = kinds.map((kind) => `${rows.filter((row) => kindOf(row) === kind).length} ${kind}`)
  assert.ok(text.includes(`${rows.length} requirements: ${counted.join(', ')}.`), counted.join(', '))
})

function readRows(): Row[] {
  let section = ''
  return text.split('\n').flatMap((line) => {
    section = /^## (.*)$/.exec(line)?.[1] ?? section
    if (!/^\| (C|\d{3})-/.test(line)) return []
    const [, id = '', requirement = '', metBy = '', shownBy = '', ...rest] = line.split('|').map((cell) => cell.trim())
    assert.deepEqual(rest, [''], `${id} has another number of cells`)
    return [{ id, section, requirement, metBy, shownBy }]
  })
}

function span(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

function idOf(document: string, number: number): string {
  return document === 'C' ? `C-${number}` : `${document}-${String(number).padStart(2, '0')}`
}

function kindOf({ metBy }: Row): (typeof kinds)[number] {
  return kinds.find((kind) => metBy.startsWith(`${kind}:`)) ?? 'met'
}

function links(cell: string): string[] {
  return [...cell.matchAll(/\]\(([^)#\s]+)\)/g)].map(([, path]) => path as string)
}

const isTest = (path: string) => /^\.\.\/test\/.+\.test\.ts$/.test(path)
const sources = (cell: string) => links(cell).filter((path) => !path.startsWith('../test/'))
const tests = (cell: string) => links(cell).filter(isTest)
