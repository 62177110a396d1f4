// A key must only go to the server that was named: no command follows a redirect with it.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { scratchDir } from '../helper.ts'
import { flatline } from './run.ts'

const key = 'k'.repeat(32)

async function listen(t: TestContext, answer: (request: IncomingMessage) => [status: number, location?: string]) {
  const heard: IncomingMessage[] = []
  const server = createServer((request, response) => {
    heard.push(request)
    const [status, location] = answer(request)
    response.writeHead(status, location ? { location } : {}).end('{"checks": [], "channels": []}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard }
}

const statuses = [301, 302, 303, 307, 308]

test('no command follows a redirect with a key, and each names the target', async (t) => {
  const elsewhere = await listen(t, () => [200])
  let status = 0
  const moved = await listen(t, ({ url }) => [status, `${elsewhere.url}${url}`])
  const honest = await listen(t, () => [200])
  const output = join(await scratchDir(t), 'checks.yaml')
  const to = ['--server', moved.url, '--key', key]
  const commands: [args: string[], input?: string][] = [
    [['export', ...to]],
    [['export', '--output', output, ...to]],
    [['apply', '-', ...to], 'checks: []'],
    [['apply', '-', '--dry-run', ...to], 'checks: []'],
    [['import', '-', ...to], 'checks: []'],
    [['import', 'healthchecks', '--url', moved.url, '--api-key', key, '--server', honest.url, '--key', key]],
    [['import', 'healthchecks', '--url', honest.url, '--api-key', key, ...to]],
  ]
  for (const [index, [args, input]] of commands.entries()) {
    status = statuses[index % statuses.length] as number
    const { code, stderr } = await flatline(args, input)
    assert.deepEqual(
      [code, stderr.includes(`answers ${status} and points to ${elsewhere.url}/api/v3/`)],
      [1, true],
      stderr,
    )
    assert.match(stderr, /redirects are not followed with a key/)
  }
  assert.ok(moved.heard.length >= commands.length)
  assert.deepEqual(elsewhere.heard, [])
})

test('a redirect without a usable address, or with a strange one, is an error too', async (t) => {
  for (const location of [undefined, 'http://[', 'javascript:alert(1)', '/elsewhere', `/${'x'.repeat(8000)}`]) {
    const moved = await listen(t, () => [302, location])
    const { code, stderr } = await flatline(['export', '--server', moved.url, '--key', key])
    assert.equal(code, 1)
    assert.match(stderr, /answers 302.*redirects are not followed/)
    assert.ok(stderr.length < 600, stderr)
    assert.equal(moved.heard.length, 1)
  }
})
