// What closes in the app, seen from inside of the process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '../../helper.ts'
import { within } from '../../patience.ts'
import { sql } from '../../postgres.ts'

test('a module that fails to close does not keep the others open', async (t) => {
  const closed: string[] = []
  const { app, call, databaseUrl } = await build(t, {}, (app) => {
    app.addHook('onClose', async () => void closed.push('first'))
    app.addHook('onClose', async () => {
      closed.push('failing')
      throw new Error('planted')
    })
    app.addHook('onClose', async () => void closed.push('last'))
  })
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  await call('GET', `/ping/${uuid}`, undefined, {})
  await within(
    'the end',
    app.close().catch((error: Error) => assert.equal(error.message, 'planted')),
  )
  assert.deepEqual(closed, ['last', 'failing', 'first'])
  const sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'flatline' AND datname = current_database()"
  assert.deepEqual(await sql(databaseUrl, sessions), [])
})
