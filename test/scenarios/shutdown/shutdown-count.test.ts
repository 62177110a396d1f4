import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminToken } from '../../helper.ts'
import { createDatabase } from '../../postgres.ts'
import { startService } from '../service.ts'

const counted = async (url: string) => {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Object.fromEntries(
    [...text.matchAll(/^graceful_shutdowns_total\{reason="(\w+)"\} (\d+)$/gm)].map(([, reason, n]) => [
      reason,
      Number(n),
    ]),
  )
}

test('graceful_shutdowns_total outlives the process, by reason', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t) }
  const first = await startService(t, { env })
  assert.deepEqual(await counted(first.url), {})
  assert.equal(await first.stop('SIGTERM'), 0)

  const second = await startService(t, { env })
  assert.deepEqual(await counted(second.url), { SIGTERM: 1 })
  await fetch(`${second.url}/admin/shutdown`, { method: 'POST', headers: { authorization: `Bearer ${adminToken}` } })
  assert.equal(await second.exited, 0)

  const third = await startService(t, { env })
  assert.deepEqual(await counted(third.url), { SIGTERM: 1, request: 1 })
  assert.equal(await third.stop('SIGINT'), 0)
})
