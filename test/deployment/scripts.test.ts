import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { needsTool } from '../tools.ts'

const root = join(import.meta.dirname, '../..')
const scripts = [...globSync(['scripts/*.sh', 'examples/*.sh'], { cwd: root }), '.ci/run', '.ci/packages'].sort()
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const isSourced = (path: string) => read(path).startsWith('# shellcheck shell=bash')

test('shellcheck accepts every script, including its style', { skip: needsTool('shellcheck') }, () => {
  assert.ok(scripts.length >= 8)
  const { stdout, status } = spawnSync('shellcheck', ['-x', '-S', 'style', ...scripts], { cwd: root, encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

test('every executable script stops at the first failure', () => {
  for (const path of scripts.filter((one) => !isSourced(one))) {
    assert.match(read(path), /^#!\/usr\/bin\/env bash\n(#.*\n)+set -euo pipefail\n/, path)
    assert.ok(statSync(join(root, path)).mode & 0o100, path)
  }
})

test('every script prints its usage with all its options', () => {
  for (const path of ['scripts/backup.sh', 'scripts/restore.sh', 'scripts/deploy.sh', 'scripts/scan-image.sh']) {
    const { stdout, status } = spawnSync(join(root, path), ['--help'], { encoding: 'utf8' })
    assert.equal(status, 0)
    const labels = read(path).match(/^ {4}--[\w-]+( \| --[\w-]+)*\)/gm) ?? []
    const options = new Set(labels.join(' ').match(/--[\w-]+/g))
    assert.ok(options.size >= 4, path)
    for (const option of options) assert.ok(stdout.includes(option), `${path} ${option}`)
  }
})
