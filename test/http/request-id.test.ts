import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { requestIdOf } from '../../src/http/request-id.ts'
import { build, call as callAt, keys } from '../helper.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`

test('the caller’s id is used first, then its trace id; a malformed one is replaced', () => {
  assert.equal(requestIdOf({ 'x-request-id': 'job-42_a', traceparent }), 'job-42_a')
  assert.equal(requestIdOf({ 'x-correlation-id': 'c-1', traceparent }), 'c-1')
  assert.equal(requestIdOf({ traceparent }), traceId)
  const generated = /^[0-9a-f]{12}-\d+$/
  for (const headers of [
    {},
    { 'x-request-id': 'two words' },
    { 'x-request-id': 'line\nbreak' },
    { 'x-request-id': 'x'.repeat(65) },
    { 'x-request-id': '' },
    { traceparent: `01-${traceId}-00f067aa0ba902b7-01` },
    { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` },
    { traceparent: `00-${traceId}-${'0'.repeat(16)}-01` },
  ]) {
    assert.match(requestIdOf(headers), generated, JSON.stringify(headers))
  }
  assert.notEqual(requestIdOf({}), requestIdOf({}))
})

test('every answer contains the request id: of pings, probes, errors and refusals by Fastify', async (t) => {
  const { call, url } = await build(t)
  const check = (await call('POST', '/api/v3/checks/', {})).json()
  const paths = [
    `/ping/${check.uuid}`,
    '/health/live',
    '/metrics',
    '/nowhere',
    '/api/v3/deliveries/?limit=x',
    '/api/v3/checks/',
    '/%zz',
  ]
  for (const path of paths) {
    const answer = await callAt(url, 'GET', path, undefined, { 'x-api-key': keys.api_key, 'x-request-id': 'mine-1' })
    assert.equal(answer.headers.get('x-request-id'), 'mine-1', path)
  }
  const traced = await callAt(url, 'GET', '/health', undefined, { traceparent })
  assert.equal(traced.headers.get('x-request-id'), traceId)

  const raw = await new Promise<string>((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
      socket.write(
        'GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: a;Set-Cookie: b\r\nConnection: close\r\n\r\n',
      ),
    )
    let answer = ''
    socket.setEncoding('utf8').on('data', (chunk) => (answer += chunk))
    socket.on('end', () => resolve(answer))
  })
  assert.match(raw, /^x-request-id: [0-9a-f]{12}-\d+\r$/im)
})
