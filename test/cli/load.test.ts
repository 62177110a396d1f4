// `flatline load` against a running service, and against one behind a proxy that refuses, drops and loses heartbeats.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { UsageError } from '../../src/cli/errors.ts'
import { load } from '../../src/cli/load/command.ts'
import { readPlan } from '../../src/cli/load/plan.ts'
import type { LoadReport } from '../../src/cli/load/report.ts'
import { build, eventually, keys, type Running, scratchDir } from '../helper.ts'
import { inherited } from '../tools.ts'

type Listed = { tags: string; n_pings: number }[]

const checksOf = async ({ call }: Running) => (await call('GET', '/api/v3/checks/')).json().checks as Listed

/** A proxy that does to each heartbeat what `fate` says. */
async function createProxy(
  t: { after(work: () => unknown): void },
  url: string,
  fate: (n: number) => number | 'drop' | 'pass',
) {
  let pings = 0
  const server = createServer(async (request, response) => {
    const isPing = request.url?.startsWith('/ping/')
    const done = isPing ? fate(++pings) : 'pass'
    if (done === 'drop') return request.socket.destroy()
    if (done !== 'pass') return response.writeHead(done).end('OK')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method = 'GET', headers } = request
    const answer = await fetch(url + request.url, {
      method,
      headers: { 'x-api-key': String(headers['x-api-key']), 'content-type': 'application/json' },
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: Buffer.concat(chunks) }),
    })
    return response.writeHead(answer.status).end(await answer.text())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('flatline load', async (t) => {
  const running = await build(t)
  const keyFile = join(await scratchDir(t), 'key')
  await writeFile(keyFile, keys.api_key)

  async function run(target: string, ...args: string[]) {
    const outcome = { status: -1, out: '', err: '' }
    outcome.status = await load(['--target', target, '--key-file', keyFile, ...args], new AbortController().signal, {
      out: (text) => (outcome.out += text),
      err: (text) => (outcome.err += text),
      colours: false,
    })
    return outcome
  }

  await t.test('every accepted heartbeat is found, and the checks are gone afterwards', async () => {
    const { status, out } = await run(running.url, '--rate', '60', '--duration', '1s', '--checks', '3', '--json')
    const report = JSON.parse(out) as LoadReport
    // A busy machine may send fewer in the time.
    assert.ok(report.sent > 0 && report.sent + report.not_sent === 60, out)
    assert.deepEqual(
      [report.accepted, report.found, report.missing, report.refused, report.unanswered],
      [report.sent, report.sent, 0, {}, {}],
    )
    const { p50 = 0, p95 = 0, p99 = 0, max = 0 } = report.latency_ms ?? {}
    assert.ok(0 < p50 && p50 <= p95 && p95 <= p99 && p99 <= max, out)
    assert.equal(status, report.not_sent === 0 ? 0 : 1)
    assert.deepEqual(await checksOf(running), [])
  })

  await t.test('a threshold that is exceeded is a problem, in words and in the exit status', async () => {
    const { status, out } = await run(running.url, '--rate', '20', '--duration', '1s', '--max-p99', '0')
    assert.equal(status, 1)
    assert.match(out, /^latency {4}p50 [\d.]+ ms · p95 [\d.]+ ms · p99 [\d.]+ ms · max [\d.]+ ms$/m)
    assert.match(out, /^result {5}.*the 99th percentile is [\d.]+ ms, more than 0 ms/m)
  })

  await t.test('heartbeats that are refused, dropped and lost are counted apart', async (t) => {
    const fates = [503, 'drop', 429, 200, 'pass', 'pass'] as const
    const url = await createProxy(t, running.url, (n) => fates[n % fates.length] ?? 'pass')
    const args = ['--rate', '30', '--duration', '1s', '--connections', '1', '--settle', '1ms', '--json']
    const { status, out } = await run(url, ...args)
    const report = JSON.parse(out) as LoadReport
    const { refused, unanswered, accepted, sent, found, missing, problems } = report
    assert.equal(status, 1)
    assert.ok(sent >= fates.length, out)
    assert.deepEqual(Object.keys(refused).sort(), ['429', '503'])
    assert.deepEqual(Object.keys(unanswered), ['ECONNRESET'])
    const failures = [...Object.values(refused), ...Object.values(unanswered)].reduce((sum, count) => sum + count, 0)
    assert.equal(accepted + failures, sent)
    assert.equal(missing, accepted - Number(found))
    assert.ok(Number(missing) > 0, 'what the proxy answers itself never arrives')
    assert.match(problems.join(), /of \d+ heartbeats were not accepted.*accepted heartbeats are not found/)
    const lenient = JSON.parse((await run(url, ...args, '--max-errors', '60%')).out) as LoadReport
    assert.doesNotMatch(lenient.problems.join(), /not accepted/)
    assert.deepEqual(await checksOf(running), [])
  })

  await t.test('Ctrl-C ends it with the report and without checks that stay', async (t) => {
    const cli = join(import.meta.dirname, '../../src/cli.ts')
    const args = ['load', '--target', running.url, '--key-file', keyFile, '--duration', '60s', '--json']
    const child = spawn(process.execPath, [cli, ...args], { env: inherited, stdio: ['ignore', 'pipe', 'ignore'] })
    t.after(() => child.kill('SIGKILL'))
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    const ended = new Promise((resolve) => child.on('close', resolve))
    await eventually('heartbeats', async () => (await checksOf(running)).some(({ n_pings: n }) => n > 0))
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    const report = JSON.parse(out) as LoadReport
    assert.deepEqual([report.interrupted, report.found], [true, report.accepted])
    assert.ok(report.accepted > 0 && report.not_sent > 0)
    assert.deepEqual(await checksOf(running), [])
  })

  await t.test('what a killed run left behind is cleaned up, and nothing else', async () => {
    for (const [name, tags] of [
      ['left', 'flatline-load flatline-load-1'],
      ['mine', 'prod'],
    ])
      await running.call('POST', '/api/v3/checks/', { name, tags })
    const { status, err } = await run(running.url, '--clean-up')
    assert.deepEqual([status, err], [0, 'deleted 1 checks\n'])
    assert.deepEqual(
      (await checksOf(running)).map(({ tags }) => tags),
      ['prod'],
    )
  })
})

test('a load beyond the safe limits needs --heavy, and none is beyond the hard ones', () => {
  const { rate, durationMs, connections } = readPlan({})
  assert.deepEqual([rate, durationMs, connections], [20, 10_000, 4])
  const refused: [values: Record<string, unknown>, problem: RegExp][] = [
    [{ rate: 101 }, /101 heartbeats a second may disturb the service: add --heavy/],
    [{ duration: 61 }, /61000 ms may disturb/],
    [{ connections: 21 }, /21 connections may disturb/],
    [{ rate: 5001, heavy: true }, /1 to 5000 are possible/],
    [{ duration: 3601, heavy: true }, /1 to 3600000 are possible/],
    [{ rate: 0 }, /0 heartbeats a second: 1 to/],
    [{ max_errors: '1.5' }, /--max-errors is a number/],
    [{ max_errors: '101%' }, /--max-errors is a number/],
    [{ settle: 600_001 }, /--settle is from/],
  ]
  for (const [values, message] of refused) assert.throws(() => readPlan(values), { message })
  assert.equal(readPlan({ rate: 5000, heavy: true }).rate, 5000)
  assert.deepEqual(readPlan({ max_errors: '0.5%' }).maxErrors, { share: 0.005 })
})

test('the target is an address without credentials, and is never guessed', async () => {
  for (const args of [[], ['--target', 'ftp://x'], ['--target', 'http://u:p@x'], ['--target', 'http://x/?a']]) {
    const silent = { out() {}, err() {}, colours: false }
    await assert.rejects(load([...args, '--key', 'k'], new AbortController().signal, silent), UsageError)
  }
})
