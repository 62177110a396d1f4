// scripts/deploy.sh against an engine that is a program on PATH: no replica goes before another has taken its place.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { scratchDir } from '../helper.ts'
import { type Ended, run } from '../scenarios/command.ts'

const text = '-- Flatline backup\nCOMMIT;\n'
const backup = gzipSync(`${text}-- sha256: ${createHash('sha256').update(text).digest('hex')}\n`).toString('base64')

type State = {
  containers: { id: string; image: string }[]
  images: Record<string, string>
  least: number
  most: number
}

/** Three replicas of 0.1.0, and an image of 0.2.0. An image's id is its version here. */
async function world(t: TestContext, changes: Record<string, unknown> = {}) {
  const dir = await scratchDir(t)
  const stub = `#!/bin/sh\nexec ${process.execPath} ${join(import.meta.dirname, 'fixtures/docker.mjs')} "$@"\n`
  await writeFile(join(dir, 'docker'), stub, { mode: 0o755 })
  const containers = ['a', 'b', 'c'].map((id) => ({ id: id.repeat(16), image: 'sha256:0.1.0', published: false }))
  const state = {
    ...{ engine: true, containers, images: { 'flatline:0.1.0': 'sha256:0.1.0', 'flatline:0.2.0': 'sha256:0.2.0' } },
    ...{
      broken: [],
      brokenAfter: 0,
      published: false,
      configured: 'flatline:0.1.0',
      migrates: true,
      backup,
      made: 0,
      least: 3,
      most: 3,
      ...changes,
    },
  }
  const files = { STATE: join(dir, 'state.json'), LOG: join(dir, 'log') }
  await writeFile(files.STATE, JSON.stringify(state))
  await writeFile(files.LOG, '')
  const env = { ...files, PATH: `${dir}:${process.env.PATH}` }
  const options = [
    '--timeout',
    '5',
    '--settle',
    '0',
    '--file',
    'docker-compose.yml',
    '--backup-dir',
    join(dir, 'backups'),
  ]
  return {
    deploy: (...args: string[]): Promise<Ended> => run(t, ['scripts/deploy.sh', 'compose', ...args, ...options], env),
    changed: async () =>
      (await readFile(files.LOG, 'utf8'))
        .split('\n')
        .filter((line) => /^(compose (up|run)|stop|rm|tag|pull)/.test(line)),
    state: async (): Promise<State> => JSON.parse(await readFile(files.STATE, 'utf8')),
  }
}

const versions = ({ containers }: State) => containers.map(({ image }) => image.replace('sha256:', ''))
const image = ['--image', 'flatline:0.2.0']

test('a new replica is up before an old one goes, one after the other', async (t) => {
  const { deploy, changed, state } = await world(t)
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  const after = await state()
  assert.deepEqual(versions(after), ['0.2.0', '0.2.0', '0.2.0'])
  assert.deepEqual([after.least, after.most], [3, 4])
  assert.equal(after.images['flatline:previous'], 'sha256:0.1.0')
  const grow = 'compose up --detach --no-deps --no-recreate --scale flatline=4 flatline'
  const replace = (id: string) => [grow, `stop -t 45 ${id.repeat(16)}`, `rm ${id.repeat(16)}`]
  assert.deepEqual(await changed(), [
    'compose run --rm --no-deps -T flatline node dist/cli.js migrate',
    'tag sha256:0.1.0 flatline:previous',
    ...['a', 'b', 'c'].flatMap(replace),
  ])
  assert.match(err, /put FLATLINE_IMAGE=flatline:0\.2\.0 into \.env/)
})

test('a replica that does not get healthy goes again, and those before it come back', async (t) => {
  // The second new one is the first that fails.
  const { deploy, state } = await world(t, { broken: ['sha256:0.2.0'], brokenAfter: 1 })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 6, err)
  assert.match(err, /does not get healthy; its log:\nthe log of the container/)
  const after = await state()
  assert.deepEqual(versions(after), ['0.1.0', '0.1.0', '0.1.0'])
  assert.equal(after.least, 3)
  assert.ok(
    ['b', 'c'].every((id) => after.containers.some((container) => container.id === id.repeat(16))),
    'the others are left alone',
  )
})

test('a rollback by hand goes to the image before, or to the one that is named', async (t) => {
  const used = await world(t)
  assert.equal((await used.deploy('deploy', ...image)).code, 0)
  for (const [args, version] of [
    [[], '0.1.0'],
    [['--to', 'flatline:0.2.0'], '0.2.0'],
  ] as const) {
    const { code, err } = await used.deploy('rollback', ...args)
    assert.equal(code, 0, err)
    assert.deepEqual(versions(await used.state()), [version, version, version])
  }
  const { deploy } = await world(t)
  const never = await deploy('rollback')
  assert.equal(never.code, 7)
  assert.match(never.err, /the image flatline:previous is not here/)
})

test('nothing is changed by a dry run, after a migration that failed, or without an engine or an image', async (t) => {
  const dry = await world(t)
  const planned = await dry.deploy('deploy', ...image, '--dry-run')
  assert.equal(planned.code, 0, planned.err)
  assert.deepEqual(await dry.changed(), [])
  assert.match(planned.err, /would run: docker compose up --detach --no-deps --no-recreate --scale flatline=4 flatline/)
  assert.match(planned.err, /then stop and remove aaaaaaaaaaaa/)

  const unmigrated = await world(t, { migrates: false })
  assert.equal((await unmigrated.deploy('deploy', ...image)).code, 5)
  assert.deepEqual(versions(await unmigrated.state()), ['0.1.0', '0.1.0', '0.1.0'])

  const absent = await world(t, { engine: false })
  const { code, err } = await absent.deploy('deploy', ...image)
  assert.equal(code, 3)
  assert.match(err, /the Docker engine does not answer: Cannot connect/)
  const unknown = await (await world(t)).deploy('deploy', '--image', 'flatline:9.9.9')
  assert.equal(unknown.code, 3)
  assert.match(unknown.err, /flatline:9\.9\.9 is not here and cannot be pulled/)
})

test('a replica with a port of its own is replaced in its place', async (t) => {
  const alone = [{ id: 'a'.repeat(16), image: 'sha256:0.1.0', published: true }]
  const { deploy, changed, state } = await world(t, { containers: alone, published: true })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  assert.match(err, /with a short gap/)
  assert.ok((await changed()).includes('compose up --detach --no-deps --wait --wait-timeout 5 flatline'))
  assert.deepEqual(versions(await state()), ['0.2.0'])

  const broken = await world(t, { containers: alone, published: true, broken: ['sha256:0.2.0'] })
  const failed = await broken.deploy('deploy', ...image)
  assert.equal(failed.code, 6, failed.err)
  assert.deepEqual(versions(await broken.state()), ['0.1.0'])
})

test('without --image it is the image that Compose would take by itself', async (t) => {
  const { deploy, changed, state } = await world(t, { configured: 'flatline:0.2.0' })
  const { code, err } = await deploy('deploy')
  assert.equal(code, 0, err)
  assert.deepEqual(versions(await state()), ['0.2.0', '0.2.0', '0.2.0'])
  assert.doesNotMatch(err, /\.env/)
  const again = await deploy('deploy')
  assert.equal(again.code, 0, again.err)
  assert.deepEqual(
    (await changed()).filter((line) => line.startsWith('tag')),
    ['tag sha256:0.1.0 flatline:previous'],
  )
})

test('the first deployment brings everything up', async (t) => {
  const { deploy, changed } = await world(t, { containers: [] })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  assert.deepEqual(await changed(), ['compose up --detach --wait --wait-timeout 5'])
  assert.match(err, /nothing runs yet, so there is nothing to back up/)
})
