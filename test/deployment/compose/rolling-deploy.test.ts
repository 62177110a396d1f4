// scripts/deploy.sh against an engine that is a program on PATH: no replica goes before another has taken its place.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { build, keys, scratchDir } from '../../helper.ts'
import { type Ended, run } from '../../scenarios/command.ts'
import { failed, type Said, said, standIn } from '../stand-in.ts'

const text = '-- Flatline backup\nCOMMIT;\n'
const backup = gzipSync(`${text}-- sha256: ${createHash('sha256').update(text).digest('hex')}\n`)

type Container = { id: string; image: string; published: boolean }

/** A fake engine with Compose: its commands change its answers. An image's id is its version here. */
const usual = {
  engine: true,
  migrates: true,
  /** Whether heartbeats and alerts get through a replica. */
  works: true,
  containers: ['a', 'b', 'c'].map((id): Container => ({ id: id.repeat(16), image: 'sha256:0.1.0', published: false })),
  images: { 'flatline:0.1.0': 'sha256:0.1.0', 'flatline:0.2.0': 'sha256:0.2.0' } as Record<string, string>,
  /** Whether the other services of the file are healthy. */
  othersAreWell: true,
  /** What Compose takes by itself. */
  configured: 'flatline:0.1.0',
  /** Whether new containers get a port of this machine. */
  published: false,
  /** Images that do not get healthy, once so many containers were made. */
  broken: [] as string[],
  brokenAfter: 0,
  made: 0,
  /** How many containers there were at the same time. */
  least: 3,
  most: 3,
}
type Engine = typeof usual

async function world(t: TestContext, changes: Partial<Engine> = {}) {
  const engine: Engine = { ...structuredClone(usual), ...structuredClone(changes) }
  const told: string[] = []
  const answer = (args: string[], image: string) => {
    // The same for every call: compose --file F.
    const call = args[0] === 'compose' && args.length > 2 ? ['compose', ...args.slice(3)] : args
    told.push(call.join(' '))
    return docker(engine, call, image)
  }
  const bin = await standIn(t, { program: 'docker', answer, variable: 'FLATLINE_IMAGE' })
  const backups = join(await scratchDir(t), 'backups')
  const options = ['--timeout', '5', '--settle', '0', '--file', 'docker-compose.yml', '--backup-dir', backups]
  return {
    engine,
    told,
    deploy: (...args: string[]): Promise<Ended> =>
      run(t, ['scripts/deploy.sh', 'compose', ...args, ...options], { PATH: `${bin}:${process.env.PATH}` }),
    changed: () => told.filter((line) => /^(compose (up|run)|stop|rm|tag|pull)/.test(line)),
  }
}

function docker(engine: Engine, args: string[], variable: string): Said {
  const text = args.join(' ')
  const last = args.at(-1) ?? ''
  const idOf = (image: string) =>
    engine.images[image] ?? (Object.values(engine.images).includes(image) ? image : undefined)
  const isBroken = (image: string) => engine.broken.includes(image) && engine.made > engine.brokenAfter
  const container = engine.containers.find(({ id }) => id === (args[0] === 'exec' ? args[1] : last))

  if (text === 'compose version' || text === 'compose config --quiet') return said()
  if (text === 'info') return engine.engine ? said() : failed('Cannot connect')
  if (text === 'compose config flatline')
    return said(`services:\n  db:\n    image: other\n  flatline:\n    image: ${engine.configured}\n`)
  if (text.startsWith('compose ps')) return said(engine.containers.map(({ id }) => `${id}\n`).join(''))
  if (text.startsWith('build')) return said()
  if (text.includes('{{.Name}} is')) return said(`/grafana is ${engine.othersAreWell ? 'healthy' : 'unhealthy'}\n`)
  if (text.startsWith('compose exec')) return said(backup)
  if (text.startsWith('compose run'))
    return engine.migrates ? said('nothing to migrate\n') : failed('migration 1 failed')
  if (text.startsWith('compose up')) return bringUp(engine, text, idOf(variable) ?? '', isBroken)
  if (text.startsWith('image inspect')) return idOf(last) ? said(`${idOf(last)}\n`) : failed('no such image')
  if (text.startsWith('pull')) return failed('pull access denied')
  if (text.startsWith('tag')) {
    engine.images[last] = args[1] ?? ''
    return said()
  }
  if (container === undefined) return failed(`not known here: ${text}`)
  const { image, published } = container
  if (text.includes('PortBindings')) return said(published ? '1\n' : '0\n')
  if (text.includes('.Config.Image'))
    return said(`${Object.keys(engine.images).find((name) => engine.images[name] === image)}\n`)
  if (text.includes('{{.Image}}')) return said(`${image}\n`)
  if (text.includes('.State.Health')) return said(isBroken(image) ? 'unhealthy\n' : 'healthy\n')
  if (text.startsWith('logs')) return said('the log of the container\n')
  if (text.includes('dist/cli.js verify')) return engine.works ? said('passed\n') : failed('the heartbeat is not found')
  if (text.endsWith('healthcheck')) return isBroken(image) ? failed('not ready') : said('ready')
  if (text.includes('--print')) return said(`${image.replace('sha256:', '')}\n`)
  if (text.startsWith('rm')) {
    engine.containers = engine.containers.filter((one) => one !== container)
    engine.least = Math.min(engine.least, engine.containers.length)
  }
  return /^(stop|rm)/.test(text) ? said() : failed(`not known here: ${text}`)
}

function bringUp(engine: Engine, text: string, image: string, isBroken: (image: string) => boolean): Said {
  let wanted = Number(/flatline=(\d+)/.exec(text)?.[1])
  if (!text.includes('--no-recreate')) {
    wanted = Math.max(1, engine.containers.length)
    engine.containers = []
  }
  while (engine.containers.length < wanted) {
    engine.made++
    engine.containers.push({ id: `c${engine.made}`.padEnd(16, '0'), image, published: engine.published })
  }
  engine.most = Math.max(engine.most, engine.containers.length)
  return text.includes('--wait') && isBroken(image) ? failed('unhealthy') : said()
}

const versions = ({ containers }: Engine) => containers.map(({ image }) => image.replace('sha256:', ''))
const image = ['--image', 'flatline:0.2.0']

test('replicas are replaced one by one, the new one up before the old one stops', async (t) => {
  const { deploy, changed, engine } = await world(t)
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  assert.deepEqual(versions(engine), ['0.2.0', '0.2.0', '0.2.0'])
  assert.deepEqual([engine.least, engine.most], [3, 4])
  assert.equal(engine.images['flatline:previous'], 'sha256:0.1.0')
  const grow = 'compose up --detach --no-deps --no-recreate --scale flatline=4 flatline'
  const replace = (id: string) => [grow, `stop -t 45 ${id.repeat(16)}`, `rm ${id.repeat(16)}`]
  assert.deepEqual(changed(), [
    'compose run --rm --no-deps -T flatline node dist/cli.js migrate',
    'tag sha256:0.1.0 flatline:previous',
    ...['a', 'b', 'c'].flatMap(replace),
  ])
  assert.match(err, /put FLATLINE_IMAGE=flatline:0\.2\.0 into \.env/)
})

test('a replica that does not get healthy is removed, and the earlier ones come back', async (t) => {
  // The second new one is the first that fails.
  const { deploy, engine } = await world(t, { broken: ['sha256:0.2.0'], brokenAfter: 1 })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 6, err)
  assert.match(err, /does not get healthy; its log:\nthe log of the container/)
  assert.deepEqual(versions(engine), ['0.1.0', '0.1.0', '0.1.0'])
  assert.equal(engine.least, 3)
  assert.ok(
    ['b', 'c'].every((id) => engine.containers.some((container) => container.id === id.repeat(16))),
    'the others are left alone',
  )
})

test('a manual rollback uses the previous image, or the one that is named', async (t) => {
  const used = await world(t)
  assert.equal((await used.deploy('deploy', ...image)).code, 0)
  for (const [args, version] of [
    [[], '0.1.0'],
    [['--to', 'flatline:0.2.0'], '0.2.0'],
  ] as const) {
    const { code, err } = await used.deploy('rollback', ...args)
    assert.equal(code, 0, err)
    assert.deepEqual(versions(used.engine), [version, version, version])
  }
  const { deploy } = await world(t)
  const never = await deploy('rollback')
  assert.equal(never.code, 7)
  assert.match(never.err, /the image flatline:previous is not here/)
})

test('a dry run, a failed migration, and a missing engine or image change nothing', async (t) => {
  const dry = await world(t)
  const planned = await dry.deploy('deploy', ...image, '--dry-run')
  assert.equal(planned.code, 0, planned.err)
  assert.deepEqual(dry.changed(), [])
  assert.match(planned.err, /would run: docker compose up --detach --no-deps --no-recreate --scale flatline=4 flatline/)
  assert.match(planned.err, /then stop and remove aaaaaaaaaaaa/)

  const unmigrated = await world(t, { migrates: false })
  assert.equal((await unmigrated.deploy('deploy', ...image)).code, 5)
  assert.deepEqual(versions(unmigrated.engine), ['0.1.0', '0.1.0', '0.1.0'])

  const absent = await world(t, { engine: false })
  const { code, err } = await absent.deploy('deploy', ...image)
  assert.equal(code, 3)
  assert.match(err, /the Docker engine does not answer: Cannot connect/)
  const unknown = await (await world(t)).deploy('deploy', '--image', 'flatline:9.9.9')
  assert.equal(unknown.code, 3)
  assert.match(unknown.err, /flatline:9\.9\.9 is not here and cannot be pulled/)
})

test('a replica with a fixed port is replaced in place', async (t) => {
  const alone = [{ id: 'a'.repeat(16), image: 'sha256:0.1.0', published: true }]
  const { deploy, changed, engine } = await world(t, { containers: alone, published: true })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  assert.match(err, /with a short gap/)
  assert.ok(changed().includes('compose up --detach --no-deps --wait --wait-timeout 5 flatline'))
  assert.deepEqual(versions(engine), ['0.2.0'])

  const broken = await world(t, { containers: alone, published: true, broken: ['sha256:0.2.0'] })
  const failed = await broken.deploy('deploy', ...image)
  assert.equal(failed.code, 6, failed.err)
  assert.deepEqual(versions(broken.engine), ['0.1.0'])
})

test('without --image the script deploys the image that Compose would use', async (t) => {
  const { deploy, changed, engine } = await world(t, { configured: 'flatline:0.2.0' })
  const { code, err } = await deploy('deploy')
  assert.equal(code, 0, err)
  assert.deepEqual(versions(engine), ['0.2.0', '0.2.0', '0.2.0'])
  assert.doesNotMatch(err, /\.env/)
  const again = await deploy('deploy')
  assert.equal(again.code, 0, again.err)
  assert.deepEqual(
    changed().filter((line) => line.startsWith('tag')),
    ['tag sha256:0.1.0 flatline:previous'],
  )
})

test('build makes the image that is named, with its version and revision', async (t) => {
  const { deploy, told } = await world(t)
  assert.equal((await deploy('build')).code, 2)
  const { code, err } = await deploy('build', ...image)
  assert.equal(code, 0, err)
  const [built, ...others] = told.filter((line) => line.startsWith('build'))
  assert.deepEqual(others, [])
  assert.match(built ?? '', /^build --tag flatline:0\.2\.0 --build-arg VERSION=0\.2\.0 --build-arg REVISION=\w+ /)
})

test('the first deployment starts everything', async (t) => {
  const { deploy, changed } = await world(t, { containers: [] })
  const { code, err } = await deploy('deploy', ...image)
  assert.equal(code, 0, err)
  assert.deepEqual(changed(), ['compose up --detach --wait --wait-timeout 5'])
  assert.match(err, /nothing runs yet, so there is nothing to back up/)
})

test('verify tries a heartbeat and an alert in one replica, or from here at an address', async (t) => {
  const { deploy, told, engine, changed } = await world(t)
  const inReplica = () => told.filter((line) => line.includes('verify'))
  const tried = await deploy('verify', '--channel', 'on call')
  assert.equal(tried.code, 0, tried.err)
  assert.equal(String(tried.out), 'passed\n')
  assert.deepEqual(inReplica(), [`exec ${'a'.repeat(16)} node dist/cli.js verify --channel on call`])
  for (const [option, said] of [
    ['--skip-smoke', /skipped, as told/],
    ['--dry-run', /would run: flatline verify/],
  ] as const) {
    const { code, err } = await deploy('verify', option)
    assert.equal(code, 0, err)
    assert.match(err, said)
  }
  assert.equal(inReplica().length, 1)
  engine.works = false
  const broken = await deploy('verify')
  assert.equal(broken.code, 6)
  assert.match(broken.err, /the replicas are ready, but not everything works/)
  Object.assign(engine, { works: true, othersAreWell: false })
  const unwell = await deploy('verify')
  assert.equal(unwell.code, 6)
  assert.match(unwell.err, /PROBLEM grafana is unhealthy/)

  const { url } = await build(t)
  const keyFile = join(await scratchDir(t), 'key')
  await writeFile(keyFile, keys.api_key)
  const real = await deploy('verify', '--url', url, '--key-file', keyFile, '--metrics-url', `${url}/metrics`)
  assert.equal(real.code, 0, real.err)
  assert.match(String(real.out), /^(passed .*\n){5}passed {2}alert .*\npassed {2}clean up .*\n$/)
  assert.deepEqual(changed(), [])
})
