// What README.md says of a fresh machine: any Node.js from 20 will do, because the install brings the one that runs.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { patience } from './patience.ts'

const root = join(import.meta.dirname, '..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

test('npx runs this checkout with its own Node.js, and warns of none', () => {
  // Without what npm puts in front for a script, as in a terminal.
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !/node_modules|node-gyp-bin/.test(entry))
  const env = { ...process.env, PATH: path.join(delimiter), NODE_OPTIONS: '' }
  const { status, stdout, stderr } = spawnSync('npx', ['--no-install', 'flatline', 'help'], {
    ...{ cwd: root, env, encoding: 'utf8', timeout: patience(60_000) },
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^usage: flatline/)
  assert.doesNotMatch(stderr, /EBADENGINE/)
})

test('the pages name the oldest Node.js that a checkout and the package take', () => {
  const [major] = /\d+/.exec(manifest.devEngines.runtime.version) ?? []
  for (const page of ['README.md', 'CONTRIBUTING.md']) {
    assert.match(
      readFileSync(join(root, page), 'utf8'),
      new RegExp(`(Node\\.js ${major} or newer|from version ${major})`),
      page,
    )
  }
  const needed = Object.keys(manifest.dependencies).flatMap((name) => {
    const { engines } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
    return /^>=\s*([\d.]+)$/.exec(engines?.node ?? '')?.[1] ?? []
  })
  const newest = needed.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? ''
  const { node } = manifest.engines as { node: string }
  assert.ok(newest.startsWith(node.replace('>=', '')), `dependencies need ${newest}, the package says ${node}`)
})
