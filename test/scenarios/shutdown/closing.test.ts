// What closes in the app, seen from inside of the process.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { build, eventually } from '../../helper.ts'
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
  // PostgreSQL lists a session for a moment after its connection ended.
  await eventually('the sessions to end', async () => (await sql(databaseUrl, sessions)).length === 0)
})

test('a request whose last bytes come while the listener closes is served, and its connection ends', async (t) => {
  const { app, call, url, databaseUrl } = await build(t)
  const { uuid } = (await call('POST', '/api/v3/checks/', {})).json()
  const connected = once(app.server, 'connection')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.after(() => socket.destroy())
  const answers = text(socket)
  const [served] = (await connected) as [Socket]
  socket.write(`GET /ping/${uuid} HTTP/1.1\r\nHost: x\r\n`)
  await eventually('the first bytes', () => served.bytesRead > 0)
  const closed = app.close()
  await eventually('the listener to close', () => !app.server.listening)
  socket.write('\r\n')
  const answer = await within('the answer and the end', answers)
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*^connection: close\r\n[\s\S]*\r\n\r\nOK$/im)
  await within('the end', closed)
  assert.equal((await sql(databaseUrl, 'SELECT 1 FROM heartbeats')).length, 1)
})
