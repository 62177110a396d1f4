// `flatline verify` against running services: one that may alert to itself, one that may not, and broken ones.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { verify } from '../../src/cli/verify/command.ts'
import { build, createReceiver, keys, type Running, scratchDir } from '../helper.ts'
import { patience } from '../patience.ts'
import { sql } from '../postgres.ts'

type Step = { step: string; status: string; ms: number; detail: string }

async function caller(t: TestContext, signal = new AbortController().signal) {
  const keyFile = join(await scratchDir(t), 'key')
  await writeFile(keyFile, keys.api_key)
  return async (target: string, ...args: string[]) => {
    const outcome = { code: -1, out: '', err: '' }
    const all = ['--target', target, '--key-file', keyFile, '--timeout', `${patience(10_000)}ms`, ...args]
    outcome.code = await verify(all, signal, {
      out: (text) => (outcome.out += text),
      err: (text) => (outcome.err += text),
      colours: false,
    })
    return outcome
  }
}

const statusesOf = (out: string) =>
  Object.fromEntries((JSON.parse(out).steps as Step[]).map(({ step, status }) => [step, status]))
const detailOf = (out: string, step: string) =>
  (JSON.parse(out).steps as Step[]).find((one) => one.step === step)?.detail

async function assertNothingLeft({ call }: Running) {
  assert.deepEqual((await call('GET', '/api/v3/checks/')).json(), { checks: [] })
  assert.deepEqual(
    ((await call('GET', '/api/v3/channels/')).json().channels as { name: string }[]).filter(({ name }) =>
      name.startsWith('flatline-verify'),
    ),
    [],
  )
}

async function listen(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const allPassed = Object.fromEntries(
  ['ready', 'create', 'write', 'read', 'metrics', 'alert', 'clean up'].map((step) => [step, 'passed']),
)

test('a working service passes every step, its own alert included, and keeps nothing', async (t) => {
  const running = await build(t)
  const run = await caller(t)
  const receiver = await createReceiver(t)
  await running.call('POST', '/api/v3/channels/', { kind: 'webhook', name: 'on call', settings: { url: receiver.url } })
  const { code, out } = await run(running.url, '--json', '--channel', 'on call')
  assert.deepEqual(statusesOf(out), allPassed, out)
  assert.equal(code, 0)
  assert.match(detailOf(out, 'metrics') ?? '', /^heartbeats_received_total has moved from \d+ to \d+$/)
  assert.match(detailOf(out, 'alert') ?? '', /test message of --channel is delivered; .* sent and received once$/)
  assert.equal(receiver.received.length, 1, 'only the test message went to a channel of the project')
  await assertNothingLeft(running)

  const skipping = await run(running.url, '--skip', 'metrics,alert')
  assert.equal(skipping.code, 0)
  assert.match(skipping.out, /^passed {2}read +[\d.]+ s {2}the check is up.*\nskipped metrics .*\nskipped alert /m)

  const elsewhere = await run(running.url, '--json', '--skip', 'alert', '--metrics-url', `${running.url}/health`)
  assert.equal(elsewhere.code, 1)
  assert.equal(detailOf(elsewhere.out, 'metrics'), `${running.url}/health does not serve the metrics of Flatline`)
  await assertNothingLeft(running)

  // Two replicas behind one address, whose counters differ and stand still.
  let scrapes = 0
  const replicas = await listen(t, (_, response) => {
    const [start, count] = scrapes++ % 2 === 0 ? [1, 5] : [2, 9]
    const counter = `heartbeats_received_total{kind="success",outcome="recorded",tenant="other"} ${count}`
    response.end(`process_start_time_seconds ${start}\n${counter}\n`)
  })
  const still = ['--json', '--skip', 'alert', '--metrics-url', replicas, '--timeout', `${patience(700)}ms`]
  const unmoved = await run(running.url, ...still)
  assert.match(detailOf(unmoved.out, 'metrics') ?? '', /^heartbeats_received_total does not move within/)
  assert.ok(scrapes > 2)

  const left = { kind: 'webhook', name: 'flatline-verify-1', settings: { url: receiver.url } }
  await running.call('POST', '/api/v3/channels/', left)
  await running.call('POST', '/api/v3/checks/', { name: 'left', tags: 'flatline-verify flatline-verify-1' })
  assert.equal((await run(running.url, '--clean-up')).err, 'deleted 1 checks and 1 channels\n')
  await assertNothingLeft(running)

  const dry = await run(running.url, '--dry-run')
  assert.equal(dry.code, 0)
  assert.match(dry.out, /^would check ready .*\n(would check .*\n){6}$/)
})

test('where private destinations are forbidden the alert ends as a snoozed delivery, never as a dead one', async (t) => {
  const running = await build(t, { ALLOW_PRIVATE_TARGETS: 'false' })
  const run = await caller(t)
  const { code, out } = await run(running.url, '--json')
  assert.deepEqual(statusesOf(out), allPassed, out)
  assert.equal(code, 0)
  assert.match(detailOf(out, 'alert') ?? '', /allowed/)
  const dead = await sql(running.databaseUrl, "SELECT 1 FROM deliveries WHERE status = 'dead'")
  assert.deepEqual(dead, [])
  await assertNothingLeft(running)
})

test('a service that loses heartbeats, refuses them or is not there fails its step, and is cleaned up', async (t) => {
  const running = await build(t)
  const run = await caller(t)
  let pingStatus = 200
  let onPing = () => {}
  const url = await listen(t, async (request, response) => {
    if (request.url?.startsWith('/ping/')) {
      onPing()
      return response.writeHead(pingStatus).end('OK')
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method = 'GET', headers } = request
    const answer = await fetch(running.url + request.url, {
      method,
      headers: { 'x-api-key': String(headers['x-api-key'] ?? ''), 'content-type': 'application/json' },
      ...(method === 'POST' && { body: Buffer.concat(chunks) }),
    })
    return response.writeHead(answer.status).end(await answer.text())
  })
  const lost = await run(url, '--json', '--timeout', '100ms')
  assert.equal(lost.code, 1)
  assert.match(detailOf(lost.out, 'read') ?? '', /the heartbeat is not found within 0\.1 s/)
  const skipped = { metrics: 'skipped', alert: 'skipped' }
  assert.deepEqual(statusesOf(lost.out), { ...allPassed, read: 'failed', ...skipped })

  pingStatus = 503
  const refused = await run(url, '--json')
  assert.match(detailOf(refused.out, 'write') ?? '', /the heartbeat is answered 503: OK/)
  await assertNothingLeft(running)

  pingStatus = 200
  const stop = new AbortController()
  onPing = () => stop.abort()
  const interrupted = await (await caller(t, stop.signal))(url, '--json')
  assert.equal(interrupted.code, 130)
  assert.equal(statusesOf(interrupted.out)['clean up'], 'passed')
  await assertNothingLeft(running)

  const nowhere = await run('http://127.0.0.1:1')
  assert.equal(nowhere.code, 1)
  assert.match(
    nowhere.out,
    /^failed {2}ready .*no answer: .*\n(skipped .*\n){5}passed {2}clean up .*nothing was created\n$/,
  )
})
