import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { readListenAddress } from '../../src/config/listen-address.ts'
import { loadConfig } from '../../src/config/load.ts'
import { askReadiness } from '../../src/health/probe.ts'
import { build, scratchDir } from '../helper.ts'
import { createDatabase } from '../postgres.ts'
import { startService } from '../scenarios/service.ts'
import { inherited } from '../tools.ts'

const root = new URL('../..', import.meta.url).pathname

test('flatline healthcheck succeeds while the service is ready, and fails once it drains or is gone', async (t) => {
  const service = await startService(t, { env: { DATABASE_URL: await createDatabase(t), DRAIN_MS: '20000' } })
  const port = new URL(service.url).port

  const ready = healthcheck({ PORT: port })
  assert.equal(ready.status, 0, ready.stdout)
  assert.match(ready.stdout, /\/health\/ready answered 200: \{"ready":true/)

  service.child.kill('SIGTERM')
  await service.event('shutdown.start')
  const draining = healthcheck({ PORT: port })
  assert.equal(draining.status, 1)
  assert.match(draining.stdout, /answered 503: .*server is draining/)

  service.child.kill('SIGTERM')
  await service.exited
  const gone = healthcheck({ PORT: port })
  assert.equal(gone.status, 1)
  assert.match(gone.stdout, /did not answer: ECONNREFUSED/)
})

test('a service that listens on every address is probed at the loopback address', async (t) => {
  const { app } = await build(t)
  const { port } = app.server.address() as { port: number }
  assert.deepEqual((await askReadiness({ host: '0.0.0.0', port })).ready, true)
})

test('a port that the service picks itself cannot be probed, and the probe says so', () => {
  const { status, stdout } = healthcheck({ PORT: '0' })
  assert.equal(status, 1)
  assert.match(stdout, /PORT=0/)
})

test('an invalid configuration fails the probe with the name of the setting', () => {
  const { status, stderr } = healthcheck({ PORT: 'eighty' })
  assert.equal(status, 1)
  assert.match(stderr, /PORT: "eighty" must be an integer/)
})

test('the probe loads only what its request needs', async (t) => {
  const coverage = await scratchDir(t)
  healthcheck({ PORT: '1', NODE_V8_COVERAGE: coverage })
  const [report = ''] = await readdir(coverage)
  const { result } = JSON.parse(await readFile(join(coverage, report), 'utf8')) as { result: { url: string }[] }
  const loaded = result.flatMap(({ url }) => (url.startsWith('file:') ? [url.slice(`file://${root}`.length)] : []))
  assert.deepEqual(loaded.sort(), ['src/cli.ts', 'src/config/listen-address.ts', 'src/health/probe.ts'])
})

test('the probe uses the address that the full configuration gives', async (t) => {
  const profileDir = join(await scratchDir(t), 'config')
  await mkdir(profileDir)
  const shipped = await readFile(join(root, 'config/docker.yaml'), 'utf8')
  const profiles = {
    shipped,
    empty: '',
    other: '# host: 10.0.0.1\nlog:\n  format: json\n',
    host: 'server:\n  host: 10.0.0.1\n',
    port: 'server:\n  port: 9000\n',
    both: 'server:\n  host: 10.0.0.1\n  port: 9000\n',
    flow: '{"server": {"host": "10.0.0.1", "port": 9000}}',
    later: 'log: {format: json}\nserver:\n  host: 0.0.0.0 # all\n  drainMs: 5s\n',
    elsewhere: 'features:\n  smtp: {}\nserver:\n  drainMs: 5s\n  host: 127.0.0.1\n',
    spaced: 'server:\n    host:   10.0.0.1\n',
    quoted: 'server:\n  host: "10.0.0.1"\n',
  }
  const environments = [
    {},
    { PORT: '9001' },
    { HOST: '::' },
    { HOST: '', PORT: '' },
    { FLATLINE__SERVER__PORT: '9002', FLATLINE__SERVER__HOST: '10.0.0.2' },
    { PORT: '9001', FLATLINE__SERVER__PORT: '9001' },
    { PORT: '0' },
    {
      DEPLOYMENT_ENV: 'docker',
      ENCRYPTION_KEY: 'ab'.repeat(32),
      ADMIN_TOKEN: 'x'.repeat(32),
      DATABASE_URL: 'postgres://localhost/x',
    },
    { FLATLINE__ENVIRONMENT: 'docker', PORT: '80' },
  ]
  let quick = 0
  for (const [name, text] of Object.entries(profiles)) {
    for (const profile of ['local', 'docker']) await writeFile(join(profileDir, `${profile}.yaml`), text)
    for (const env of environments) {
      const read = readListenAddress({ env, profileDir: pathToFileURL(`${profileDir}/`) })
      if (read === undefined) continue
      quick++
      try {
        const { host, port } = loadConfig({ env, profileDir }).server
        assert.deepEqual(read, { host, port }, `${name} ${JSON.stringify(env)}`)
      } catch (error) {
        if ((error as Error).name !== 'ConfigError') throw error
      }
    }
  }
  assert.ok(quick > 40, `${quick}`)
  for (const env of [
    { PORT: 'x' },
    { PORT: '70000' },
    { PORT: '1', FLATLINE__SERVER__PORT: '2' },
    { HOST: 'a b' },
    { DEPLOYMENT_ENV: 'nowhere' },
  ])
    assert.equal(readListenAddress({ env }), undefined, 'what is wrong is for the whole configuration to say')
})

function healthcheck(env: Record<string, string>) {
  const command = [`${root}src/cli.ts`, 'healthcheck']
  return spawnSync(process.execPath, command, { encoding: 'utf8', env: { ...inherited, ...env } })
}
