import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { askReadiness } from '../../src/health/probe.ts'
import { build } from '../helper.ts'
import { createDatabase } from '../postgres.ts'
import { startService } from '../scenarios/service.ts'

const root = new URL('../..', import.meta.url).pathname

test('flatline healthcheck succeeds while the service is ready, and fails once it drains and when it is gone', async (t) => {
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

test('a service that listens on every address is asked on the loopback one', async (t) => {
  const { app } = await build(t)
  const { port } = app.server.address() as { port: number }
  assert.deepEqual((await askReadiness({ host: '0.0.0.0', port })).ready, true)
})

test('a port that the service picks itself cannot be asked, and the check says so', () => {
  const { status, stdout } = healthcheck({ PORT: '0' })
  assert.equal(status, 1)
  assert.match(stdout, /PORT=0/)
})

test('a mistake in the configuration fails the check by its name', () => {
  const { status, stderr } = healthcheck({ PORT: 'eighty' })
  assert.equal(status, 1)
  assert.match(stderr, /PORT: "eighty" must be an integer/)
})

function healthcheck(env: Record<string, string>) {
  const command = [`${root}src/cli.ts`, 'healthcheck']
  return spawnSync(process.execPath, command, { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } })
}
