import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPostponed } from '../../src/audit/postponed.ts'
import type { Statement } from '../../src/database/sql.ts'
import { createFaultProxy } from '../fault-proxy.ts'
import { adminToken, build, eventually } from '../helper.ts'
import { patience, within } from '../patience.ts'
import { createDatabase, sql } from '../postgres.ts'

const admin = (requestId: string) => ({ authorization: `Bearer ${adminToken}`, 'x-request-id': requestId })

test('operator actions without a database are recorded once it is back, in order and with their time', async (t) => {
  const databaseUrl = await createDatabase(t)
  const proxy = await createFaultProxy(t, databaseUrl)
  const { call } = await build(t, {
    DATABASE_URL: proxy.url,
    FLATLINE__DATABASE__CONNECT_TIMEOUT_MS: '1000',
    FLATLINE__DATABASE__STATEMENT_TIMEOUT_MS: String(patience(10_000)),
    INGEST_MODE: 'consistent',
  })
  const put = (level: string, id: string) => call('PUT', '/admin/log-level', { level }, admin(id))

  for (const fault of ['refuse', 'blackhole'] as const) {
    await proxy.set(fault)
    await eventually(`${fault}: noticed`, async () => (await call('GET', '/health/ready')).status === 503)
    for (const id of ['1', '2']) {
      // Less than the time limit of a statement without an answer.
      const answer = await within(`${fault}: the operator not to wait`, put('silent', `${fault}-${id}`), 8000)
      assert.equal(answer.status, 200)
    }
    const reset = await call('POST', '/api/v1/circuit-breakers/reset-all', undefined, admin(`${fault}-3`))
    assert.equal(reset.status, 200)
    const doneBy = Date.now()
    await proxy.set('pass')
    const rows = await eventually(
      `${fault}: all three are on record`,
      async () => {
        const found = await sql<{ request_id: string; at: Date; action: string }>(
          databaseUrl,
          `SELECT request_id, at, action FROM audit
           WHERE request_id LIKE $1 AND action <> 'auth.success' ORDER BY at, id`,
          [`${fault}-%`],
        )
        return found.length >= 3 && found
      },
      30_000,
    )
    assert.deepEqual(
      rows.map(({ request_id, action }) => [request_id, action]),
      [
        [`${fault}-1`, 'admin.log_level'],
        [`${fault}-2`, 'admin.log_level'],
        [`${fault}-3`, 'breaker.reset_all'],
      ],
    )
    assert.ok(rows.every(({ at }) => at.getTime() <= doneBy + 1000))
  }
})

test('an audit entry that the database refuses blocks no other, and its loss is logged', async () => {
  const written: unknown[] = []
  let fault: { code: string } | null = { code: 'ECONNREFUSED' }
  const lost: { target?: string }[] = []
  const database = {
    clock: { now: Date.now },
    async query(_statement: Statement, values: readonly unknown[] = []) {
      if (fault) throw Object.assign(new Error('no'), fault)
      if (values[3] === 'refused') throw Object.assign(new Error('no'), { code: '22P05' })
      written.push(values[3])
      return [{ id: 1 }]
    },
  }
  const log = { warn() {}, error: (line: object) => void lost.push(line) }
  const postponed = createPostponed({ database: database as never, log })
  for (const target of ['first', 'refused', 'last']) await postponed.record({ actor: 'admin', action: 'test', target })
  await assert.rejects(postponed.flush())
  fault = null
  await postponed.flush()
  assert.deepEqual(written, ['first', 'last'])
  assert.deepEqual(
    lost.map(({ target }) => target),
    ['refused'],
  )
  fault = { code: 'ECONNREFUSED' }
  await postponed.record({ actor: 'admin', action: 'test', target: 'at the end' })
  await postponed.close()
  assert.equal(lost.at(-1)?.target, 'at the end')
})
