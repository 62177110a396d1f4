// Ways to stop the service together with its embedded database, which must never keep running.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { npmEchoMs, onStopSignals } from '../../../src/lifecycle/stop-signals.ts'
import { isAlive, postmasterPid } from '../../database/fixtures/embedded.ts'
import { call, eventually, scratchDir } from '../../helper.ts'
import { startService } from '../service.ts'

const posix = process.platform !== 'win32'

async function startOnOwnDatabase(t: Parameters<typeof startService>[0], env: Record<string, string> = {}) {
  const dataDir = await scratchDir(t)
  const service = await startService(t, { env: { DATA_DIR: dataDir, ...env } })
  const database = await postmasterPid(dataDir)
  assert.ok(database)
  return { service, databaseIsGone: () => eventually('the database ended', () => !isAlive(database), 20_000) }
}

test('Ctrl-C under npm start, which arrives twice, is one signal and also ends the database', {
  skip: !posix,
}, async (t) => {
  const dataDir = await scratchDir(t)
  const env = { ...process.env, DATA_DIR: dataDir, PORT: '0', DRAIN_MS: '1000', NODE_TEST_CONTEXT: undefined }
  const npm = spawn('npm', ['start'], { env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  npm.stdout.setEncoding('utf8').on('data', (chunk) => (output += chunk))
  const closed = new Promise<void>((resolve) => npm.once('close', () => resolve()))
  const group = -(npm.pid as number)
  t.after(() => {
    if (npm.exitCode === null && npm.signalCode === null) process.kill(group, 'SIGKILL')
  })
  await eventually('the service is ready', () => output.includes('server.ready'))
  const database = await postmasterPid(dataDir)
  assert.ok(database)
  process.kill(group, 'SIGINT')
  await closed
  assert.match(output, /"shutdown.complete"/, output)
  assert.doesNotMatch(output, /second_signal/)
  await eventually('the database ended', () => !isAlive(database))
})

test('under npm the same signal within a second is an echo; another or a later one is not', (t) => {
  let now = 0
  const seen: string[] = []
  const note = (what: string) => (signal: string) => void seen.push(`${what} ${signal}`)
  const before = new Set([...process.listeners('SIGINT'), ...process.listeners('SIGTERM')])
  onStopSignals({ first: note('first'), echo: note('echo'), second: note('second') }, npmEchoMs, () => now)
  t.after(() => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      for (const listener of process.listeners(signal)) if (!before.has(listener)) process.off(signal, listener)
  })
  for (const [at, signal] of [
    [0, 'SIGINT'],
    [5, 'SIGINT'],
    [999, 'SIGINT'],
    [999, 'SIGTERM'],
    [1000, 'SIGINT'],
  ] as const) {
    now = at
    process.emit(signal, signal)
  }
  assert.deepEqual(seen, ['first SIGINT', 'echo SIGINT', 'echo SIGINT', 'second SIGTERM', 'second SIGINT'])
})

test('a second signal ends the service and its database at once', async (t) => {
  const { service, databaseIsGone } = await startOnOwnDatabase(t, { DRAIN_MS: '60000', SHUTDOWN_TIMEOUT_MS: '90000' })
  service.child.kill('SIGTERM')
  await service.event('shutdown.start')
  service.child.kill('SIGTERM')
  assert.equal(await service.exited, 1)
  await service.event('shutdown.second_signal').catch(() => assert.fail(service.output()))
  await databaseIsGone()
})

test('a service whose output is closed continues, and ends in order', { skip: !posix }, async (t) => {
  const { service, databaseIsGone } = await startOnOwnDatabase(t, { LOG_LEVEL: 'debug' })
  service.child.stdout?.destroy()
  service.child.stderr?.destroy()
  for (let n = 0; n < 20; n++) assert.equal((await call(service.url, 'GET', '/nowhere')).status, 404)
  assert.equal((await call(service.url, 'GET', '/health/ready')).status, 200)
  assert.equal(await service.stop(), 0)
  await databaseIsGone()
})
