import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminToken, build, keys, type Running } from '../helper.ts'
import { sql } from '../postgres.ts'

const admin = { authorization: `Bearer ${adminToken}` }
const readOnly = { 'x-api-key': keys.api_key_readonly }

type Quota = Record<string, { limit: number; used?: number }>

const quotaOf = async ({ call }: Running, headers: Record<string, string> = readOnly) =>
  (await call('GET', '/api/v3/quota/', undefined, headers)).json().quota as Quota

async function projectId({ databaseUrl }: Running): Promise<string> {
  const [row] = await sql<{ id: string }>(databaseUrl, "SELECT id FROM projects WHERE name = 'default'")
  return String(row?.id)
}

const hook = (name: string) => ({ kind: 'webhook', name, settings: { url: 'http://127.0.0.1:9/' } })

test('a project sees its quota with usage, and the operator sets it within the configured maxima', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__CHANNELS: '7', FLATLINE__QUOTAS__CHANNELS_MAX: '9' })
  const { call, databaseUrl } = running
  const url = `/api/v3/projects/${await projectId(running)}/`
  await call('POST', '/api/v3/checks/', { name: 'a' })
  await call('GET', `/ping/${keys.ping_key}/b?create=1`, undefined, {})
  await call('POST', '/api/v3/channels/', hook('a'))
  const before = await quotaOf(running)
  assert.deepEqual(
    [before.checks?.used, before.channels, before.new_checks_per_hour?.used],
    [2, { limit: 7, used: 1 }, 1],
  )

  const set = (quota: unknown, headers: Record<string, string> = admin) => call('PATCH', url, { quota }, headers)
  const answer = await set({ checks: 3, channels: 9, spool_share: 0.5 })
  assert.equal(answer.status, 200)
  const after = await quotaOf(running)
  assert.deepEqual(answer.json().quota, after)
  assert.deepEqual((await call('GET', url, undefined, admin)).json().quota, after)
  assert.deepEqual([after.checks, after.channels?.limit, after.spool_share], [{ limit: 3, used: 2 }, 9, { limit: 0.5 }])
  assert.equal((await set({ checks: null })).status, 200)
  const back = await quotaOf(running)
  assert.deepEqual([back.checks?.limit, back.channels?.limit], [before.checks?.limit, 9])

  const refused: [quota: unknown, field: string][] = [
    [{ channels: 10 }, 'quota.channels'],
    [{ checks: -1 }, 'quota.checks'],
    [{ checks: 1.5 }, 'quota.checks'],
    [{ spool_share: 1.1 }, 'quota.spool_share'],
    [{ cheques: 1 }, 'quota.cheques'],
    [{}, 'quota'],
  ]
  for (const [quota, field] of refused) {
    const { status, json } = await set(quota)
    assert.deepEqual([status, json().field], [400, field], JSON.stringify(quota))
  }
  for (const headers of [{ 'x-api-key': keys.api_key }, readOnly, {}]) {
    assert.equal((await set({ checks: 1 }, headers)).status, 401)
    assert.equal((await call('GET', url, undefined, headers)).status, 401)
  }
  const nobody = `/api/v3/projects/${crypto.randomUUID()}/`
  assert.equal((await call('PATCH', nobody, { quota: { checks: 1 } }, admin)).status, 404)
  const audit = await sql<{ detail: unknown }>(databaseUrl, "SELECT detail FROM audit WHERE action = 'project.quota'")
  assert.deepEqual(audit.at(0)?.detail, { before: {}, after: { checks: 3, channels: 9, spool_share: 0.5 } })
})

test('every way to create a check stops at the quota with 4xx, code, field and limit', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__CHECKS: '3' })
  const { call } = running
  const uuids = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const made = await call('POST', `/api/v${(i % 3) + 1}/checks/`, { name: `c${i}`, unique: ['name'] })
      return made.status === 201 ? String(made.json().uuid ?? made.json().unique_key) : made.status
    }),
  )
  assert.equal(uuids.filter((uuid) => uuid === 403).length, 5, 'parallel calls do not get past it')
  const exceeded = { code: 'quota_exceeded', field: 'checks', limit: 3 }
  const { error, ...refusal } = (await call('POST', '/api/v3/checks/', { name: 'd' })).json()
  assert.deepEqual(refusal, exceeded)
  assert.match(String(error), /at most 3 checks/)

  const applied = (await call('POST', '/api/v3/definitions/', { checks: [{ name: 'e' }] })).json()
  assert.equal((applied.results as { error: string }[])[0]?.error, error)
  const ping = await call('GET', `/ping/${keys.ping_key}/f?create=1`, undefined, {})
  assert.deepEqual([ping.status, ping.text, ping.headers.get('retry-after')], [403, error, null])

  const [existing] = uuids.filter((uuid) => typeof uuid === 'string')
  assert.equal((await call('GET', `/ping/${existing}`, undefined, {})).status, 200)
  assert.equal((await call('POST', `/api/v3/checks/${existing}`, { name: 'renamed' })).status, 200)
  assert.equal((await call('POST', '/api/v3/checks/', { name: 'renamed', unique: ['name'] })).status, 200)
  await call('DELETE', `/api/v3/checks/${existing}`)
  assert.equal(
    (await call('GET', `/ping/${keys.ping_key}/f?create=1`, undefined, {})).status,
    201,
    'there is room again',
  )
})

test('a ping key creates checks up to its hourly quota; a batch over it creates as many as fit', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__NEW_CHECKS_PER_HOUR: '5' })
  const { call, databaseUrl } = running
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => call('GET', `/ping/${keys.ping_key}/job-${i}?create=1`, undefined, {})),
  )
  const refused = answers.filter(({ status }) => status !== 201)
  assert.equal(refused.length, 7)
  for (const { status, text, headers } of refused) {
    assert.deepEqual(
      [status, text],
      [429, 'quota exceeded: at most 5 checks may be created with the ping key per hour'],
    )
    const seconds = Number(headers.get('retry-after'))
    assert.ok(seconds >= 1 && seconds <= 3600, `Retry-After: ${seconds}`)
  }
  assert.deepEqual((await quotaOf(running)).new_checks_per_hour, { limit: 5, used: 5 })
  const made = answers.findIndex(({ status }) => status === 201)
  assert.equal((await call('GET', `/ping/${keys.ping_key}/job-${made}?create=1`, undefined, {})).status, 200)
  assert.equal((await call('POST', '/api/v3/checks/', {})).status, 201, 'people may go on')

  await sql(databaseUrl, "UPDATE provisioning_counts SET hour_at = hour_at - interval '1 hour'")
  assert.equal((await call('GET', `/ping/${keys.ping_key}/next-hour?create=1`, undefined, {})).status, 201)
})

test('channels stop at the quota, also when they are created in parallel', async (t) => {
  const { call } = await build(t, { FLATLINE__QUOTAS__CHANNELS: '2' })
  const made = await Promise.all(Array.from({ length: 6 }, (_, i) => call('POST', '/api/v3/channels/', hook(`c${i}`))))
  assert.equal(made.filter(({ status }) => status === 201).length, 2)
  const refusal = made.find(({ status }) => status !== 201)
  assert.deepEqual(
    [refusal?.status, refusal?.json()],
    [
      403,
      {
        error: 'quota exceeded: this project may have at most 2 channels',
        code: 'quota_exceeded',
        field: 'channels',
        limit: 2,
      },
    ],
  )
})

test('a large quota is counted rarely, and enforced nevertheless', async (t) => {
  const running = await build(t, { FLATLINE__QUOTAS__CHECKS: '1200' })
  const { app, call, databaseUrl } = running
  let counts = 0
  const transaction = app.database.transaction
  app.database.transaction = ((work, ...rest) =>
    transaction(
      (tx) => {
        const query: typeof tx.query = (statement, values) => {
          if (statement.name === 'quotas_checks') counts++
          return tx.query(statement, values)
        }
        return work({ ...tx, query })
      },
      ...rest,
    )) as typeof transaction
  const apply = async (from: number, n: number) => {
    const checks = Array.from({ length: n }, (_, i) => ({ name: `c${from + i}` }))
    return (await call('POST', '/api/v3/definitions/', { checks })).json().summary as Record<string, number>
  }
  const first = await apply(0, 500)
  assert.deepEqual([first.created, first.failed], [500, 0])
  assert.ok(counts < 250, `counted ${counts} times`)
  const second = await apply(500, 800)
  assert.deepEqual([second.created, second.failed], [700, 100])
  const [row] = await sql<{ count: string }>(databaseUrl, 'SELECT count(*) FROM checks')
  assert.equal(Number(row?.count), 1200)
})
