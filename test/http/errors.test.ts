import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, keys } from '../helper.ts'

const auth = { 'x-api-key': keys.api_key }

test('own errors have one shape and name the field and the rule', async (t) => {
  const { call } = await build(t)
  const cases: [string, string, unknown, number, RegExp][] = [
    ['GET', '/nope', undefined, 404, /^\{"error":"not found","code":"not_found"\}$/],
    ['GET', '/api/v3/%', undefined, 400, /^\{"error":"invalid url format","code":"bad_request"\}$/],
    ['GET', `/api/v3/channels/${'x'.repeat(101)}/`, undefined, 400, /^\{"error":"invalid url format","code":/],
    ['POST', '/api/v3/channels/', { kind: 'pigeon', name: 'a', settings: {} }, 400, /webhook.*"field":"kind"/],
    ['POST', '/api/v3/channels/', { kind: 'webhook', settings: {} }, 400, /name is required.*"field":"name"/],
    ['POST', '/api/v3/channels/', '{bad', 400, /could not parse request body/],
    [
      'POST',
      '/api/v3/channels/',
      '{"kind": "webhook", "name": "a\\ud83d"}',
      400,
      /^\{"error":"name contains half.*"field":"name"/,
    ],
    ['POST', '/api/v3/maintenance/', '{"tags": ["a", "\\uDC00"]}', 400, /"field":"tags\.1"/],
    [
      'POST',
      '/api/v3/maintenance/',
      '"\\ud800"',
      400,
      /^\{"error":"the body contains half[^}]*"code":"bad_request"\}$/,
    ],
    [
      'POST',
      '/api/v3/channels/',
      '{"kind": "pigeon", "name": "\\ud83d\\udd4a", "settings": {}}',
      400,
      /"field":"kind"/,
    ],
    ['POST', '/api/v3/checks/', '{"name": "\\ud800"}', 400, /name contains half of a surrogate pair/],
    ['GET', '/api/v3/deliveries/?status=lost', undefined, 400, /status must be one of pending, .*"field":"status"/],
    ['GET', '/api/v3/deliveries/?limit=0', undefined, 400, /"field":"limit"/],
    ['POST', '/api/v3/channels/', 'x'.repeat(2_000_000), 413, /"code":"payload_too_large"/],
  ]
  for (const [method, path, body, status, text] of cases) {
    const answer = await call(method, path, body, auth)
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`)
    assert.match(answer.text, text)
    assert.ok(!answer.text.includes('    at '), 'no stack')
  }
})

test('the answer to an unsupported method lists the supported ones', async (t) => {
  const { call } = await build(t)
  assert.equal((await call('PUT', '/api/v3/checks/')).headers.get('allow'), 'GET, POST, OPTIONS')
  assert.equal((await call('DELETE', '/ping/x')).headers.get('allow'), 'GET, HEAD, POST, PUT, OPTIONS')
})
