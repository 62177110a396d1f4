// Clients that others wrote for Healthchecks, with nothing but the address changed.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { build, eventually, keys } from '../helper.ts'

type Check = Record<string, unknown> & { ping_url: string; update_url: string; name: string }

/** The part of healthchecks-io-client's interface that is used here. */
type ApiClient = {
  getChecks(tags?: string[]): Promise<{ checks: Check[] }>
  getCheck(id: string): Promise<Check>
  createCheck(check: object): Promise<Check>
  updateCheck(id: string, check: object): Promise<Check>
  pauseCheck(id: string): Promise<Check>
  deleteCheck(id: string): Promise<Check>
  listPings(id: string): Promise<{ pings: { type: string; n: number }[] }>
  listFlips(id: string, query?: object): Promise<{ flips: { up: number }[] }>
  getIntegrations(): Promise<{ channels: object[] }>
}
type PingClient = {
  success(body?: string): Promise<unknown>
  fail(body?: string): Promise<unknown>
  start(): Promise<unknown>
}
type HealthchecksIoClient = {
  HealthChecksApiClient: new (options: { apiKey: string; baseUrl: string; apiVersion: number }) => ApiClient
  HealthChecksPingClient: new (options: { uuid: string; baseUrl: string; returnResponse: boolean }) => PingClient
}
type HealthchecksIo = { healthcheck(url: string, minutes: number): { stop(): void } }

const require = createRequire(import.meta.url)

for (const apiVersion of [1, 2, 3]) {
  test(`healthchecks-io-client manages checks and pings them, with version ${apiVersion} of the API`, async (t) => {
    const { url, call } = await build(t)
    const { HealthChecksApiClient, HealthChecksPingClient } = require('healthchecks-io-client') as HealthchecksIoClient
    const api = new HealthChecksApiClient({ apiKey: keys.api_key, baseUrl: url, apiVersion })
    const channel = { kind: 'webhook', name: 'hook', settings: { url: 'http://127.0.0.1:9/' } }
    await call('POST', '/api/v3/channels/', channel)

    const made = await api.createCheck({ name: 'Backup', tags: 'prod db', timeout: 3600, grace: 900, channels: '*' })
    const uuid = made.ping_url.split('/').at(-1) as string
    assert.equal(made.name, 'Backup')
    const again = await api.createCheck({ name: 'Backup', grace: 600, unique: ['name'] })
    assert.deepEqual([again.ping_url, again.grace], [made.ping_url, 600])

    const job = new HealthChecksPingClient({ uuid, baseUrl: `${url}/ping`, returnResponse: true })
    assert.equal(await job.start(), 'OK')
    assert.equal(await job.success('70 files'), 'OK')
    assert.equal(await job.fail('disk full'), 'OK')
    assert.equal(await job.success(), 'OK')

    assert.equal((await api.getCheck(uuid)).status, 'up')
    assert.equal((await api.getChecks(['prod', 'db'])).checks.length, 1)
    assert.equal((await api.getChecks(['prod', 'other'])).checks.length, 0)
    const { pings } = await api.listPings(uuid)
    assert.deepEqual(
      pings.map(({ type }) => type),
      ['success', 'fail', 'success', 'start'],
    )
    const { flips } = await api.listFlips(uuid, { seconds: 3600 })
    assert.deepEqual(
      flips.map(({ up }) => up),
      [1, 0, 1],
    )
    assert.equal((await api.getIntegrations()).channels.length, 1)
    assert.equal(
      (await api.updateCheck(uuid, { desc: 'nightly', schedule: '15 3 * * *', tz: 'UTC' })).schedule,
      '15 3 * * *',
    )
    assert.equal((await api.pauseCheck(uuid)).status, 'paused')
    assert.equal((await api.deleteCheck(uuid)).name, 'Backup')
    await assert.rejects(api.getCheck(uuid), { name: 'StatusCodeError' })

    const reader = new HealthChecksApiClient({ apiKey: keys.api_key_readonly, baseUrl: url, apiVersion })
    await api.createCheck({ name: 'seen' })
    const [seen] = (await reader.getChecks()).checks
    assert.equal((await reader.getCheck(String(seen?.unique_key))).name, 'seen')
    await assert.rejects(reader.createCheck({}), { name: 'StatusCodeError' })
  })
}

test('the package healthchecks.io pings an address on a schedule', async (t) => {
  const { call } = await build(t)
  const check = (await call('POST', '/api/v3/checks/', { name: 'a' })).json()
  const { healthcheck } = require('healthchecks.io') as HealthchecksIo
  const beat = healthcheck(String(check.ping_url), 1)
  t.after(() => beat.stop())
  await eventually('the first beat', async () => {
    const { status, n_pings } = (await call('GET', `/api/v3/checks/${check.uuid}`)).json()
    return status === 'up' && n_pings === 1
  })
})
