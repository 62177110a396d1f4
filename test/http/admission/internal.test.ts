import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { build } from '../../helper.ts'
import { exchange } from '../exchange.ts'

const production = { DEPLOYMENT_ENV: 'production', ENCRYPTION_KEY: randomBytes(32).toString('hex'), HOST: '127.0.0.1' }
const rows: [headers: Record<string, string>, isInternal: boolean][] = [
  [{}, true],
  [{ host: 'localhost:8000' }, true],
  [{ host: 'flatline' }, true],
  [{ host: 'flatline.monitoring.svc' }, true],
  [{ host: 'flatline.monitoring.svc.cluster.local:8000' }, true],
  [{ host: '[::1]:8000' }, true],
  [{ host: 'beats.example.org' }, false],
  [{ host: 'rebinding.example' }, false],
  [{ host: 'localhost.example' }, false],
  [{ 'x-forwarded-for': '203.0.113.9' }, false],
  [{ 'x-forwarded-for': '127.0.0.1' }, false],
  [{ forwarded: 'for=203.0.113.9' }, false],
  [{ via: '1.1 proxy' }, false],
]

test('in production only the private network reads /metrics and the details of health', async (t) => {
  const { url } = await build(t, production)
  for (const [headers, isInternal] of rows) {
    const what = JSON.stringify(headers)
    for (const path of ['/metrics', '/metrics/'])
      assert.equal((await exchange(url, { path, headers })).status, isInternal ? 200 : 404, what)
    for (const path of ['/health', '/status', '/health/']) {
      const { status, text } = await exchange(url, { path, headers })
      assert.deepEqual([status, 'version' in JSON.parse(text)], [200, isInternal], `${path} ${what}`)
    }
    for (const path of ['/health/live', '/health/ready'])
      assert.equal((await exchange(url, { path, headers })).status, 200, 'probes are for everybody')
  }
})

test('a token or a list of addresses replaces that rule', async (t) => {
  const { url } = await build(t, {
    ...production,
    METRICS_TOKEN: 'scraper-token',
    HEALTH_DETAIL_ALLOWLIST: '203.0.113.9',
  })
  const headers = { host: 'beats.example.org', authorization: 'Bearer scraper-token' }
  assert.equal((await exchange(url, { path: '/metrics', headers })).status, 200)
  assert.equal((await exchange(url, { path: '/metrics' })).status, 401)
  assert.equal('version' in JSON.parse((await exchange(url, { path: '/health' })).text), false)
})
