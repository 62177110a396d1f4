import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { build, keys } from '../helper.ts'

test('answers forbid browsers to interpret them as pages; heartbeats lack these headers', async (t) => {
  const { call, url } = await build(t)
  const check = (await call('POST', '/api/v3/checks/', {})).json()
  for (const path of ['/api/v3/checks/', '/health', '/nowhere', '/api/v3/deliveries/?limit=x']) {
    const { headers } = await call('GET', path)
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/, path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.equal(headers.get('referrer-policy'), 'no-referrer', path)
    assert.equal(headers.get('cross-origin-resource-policy'), 'cross-origin', path)
    assert.equal(headers.get('strict-transport-security'), null, path)
    assert.equal(headers.get('x-powered-by'), null)
  }
  const ping = await call('GET', `/ping/${check.uuid}`, undefined, {})
  assert.equal(ping.headers.get('content-security-policy'), null)
  const preflight = await fetch(`${url}/api/v3/checks/`, { method: 'OPTIONS' })
  assert.equal(preflight.status, 204)

  const behindTls = await build(t, { SITE_URL: 'https://beats.example.org' })
  const secure = await behindTls.app.inject('/api/v3/checks/')
  assert.match(String(secure.headers['strict-transport-security']), /max-age=31536000/)
})

test('a malformed request, or one with too large a head, gets the usual error and a closed connection', async (t) => {
  const { url } = await build(t)
  const exchange = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text))
      let answer = ''
      socket.setEncoding('utf8').on('data', (chunk) => (answer += chunk))
      socket.on('end', () => resolve(answer)).on('error', reject)
    })
  const table: [string, number, RegExp][] = [
    ['NOT HTTP AT ALL\r\n\r\n', 400, /"error":"the request is not valid HTTP","code":"bad_request"/],
    [
      `GET / HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${keys.api_key}\r\nX-Filler: ${'y'.repeat(20_000)}\r\n\r\n`,
      431,
      /head of the request is too large/,
    ],
  ]
  for (const [text, status, body] of table) {
    const answer = await exchange(text)
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer)
    assert.match(answer, body)
    assert.match(answer, /^Connection: close$/im)
  }
})
