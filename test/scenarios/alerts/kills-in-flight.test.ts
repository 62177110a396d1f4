// kill -9 while the destination has the request and has not answered: it can only be sent again, with the same key,
// and no later alert is sent before it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { call, eventually, keys } from '../../helper.ts'
import { patience } from '../../patience.ts'
import { createDatabase, sql } from '../../postgres.ts'
import { type Service, startService } from '../service.ts'

const auth = { 'x-api-key': keys.api_key }
const checkCount = 12
const rounds = 3

type Heard = { key: string; check: string; event: string; answered: boolean }

/** Answers no request until it is allowed to; records which were aborted before that. */
async function createSlowSide(t: TestContext) {
  const heard: Heard[] = []
  const held = new Map<ServerResponse, Heard>()
  const cut: Heard[] = []
  let answers = false
  const end = (response: ServerResponse, entry: Heard) => {
    held.delete(response)
    entry.answered = true
    response.end()
  }
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      const { check, event } = JSON.parse(text)
      const entry = { key: String(request.headers['idempotency-key']), check: check.uuid, event, answered: false }
      heard.push(entry)
      held.set(response, entry)
      response.once('close', () => {
        if (held.delete(response)) cut.push(entry)
      })
      if (answers) end(response, entry)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    held: () => held.size,
    cut,
    hold() {
      answers = false
    },
    answer() {
      answers = true
      for (const [response, entry] of held) end(response, entry)
    },
  }
}

test('another process resends what a killed one was sending, with the same key and in order', async (t) => {
  const env = { DATABASE_URL: await createDatabase(t), FLATLINE__ALERTING__LEASE_MS: String(patience(5000)) }
  const services: Service[] = await Promise.all([0, 1, 2].map(() => startService(t, { env })))
  const urlOf = (index: number) => (services[index % 3] as Service).url
  const far = await createSlowSide(t)
  const channel = { kind: 'webhook', name: 'hook', settings: { url: far.url } }
  assert.equal((await call(urlOf(0), 'POST', '/api/v3/channels/', channel, auth)).status, 201)
  const ids: string[] = []
  for (let n = 0; n < checkCount; n++) {
    const check = { name: `job ${n}`, channels: '*', timeout: 86_400, grace: 86_400 }
    ids.push(String((await call(urlOf(0), 'POST', '/api/v3/checks/', check, auth)).json().uuid))
  }
  const sent = async () =>
    (await sql<{ n: number }>(env.DATABASE_URL, "SELECT count(*)::int AS n FROM deliveries WHERE status = 'sent'"))[0]
      ?.n

  for (let round = 0; round < rounds; round++) {
    far.hold()
    const before = far.cut.length
    await Promise.all(
      ids.map((id, n) => call(urlOf(n), 'GET', `/ping/${id}${round % 2 === 0 ? '/fail' : ''}`, undefined, {})),
    )
    await eventually('every request to be in flight', () => far.held() === checkCount, 60_000)
    // Whichever process sends: the first whose end breaks off a request is the one.
    for (let victim = round; far.cut.length === before && victim < round + 3; victim++) {
      const service = services[victim % 3] as Service
      service.child.kill('SIGKILL')
      await service.exited
      await eventually('the sockets to close', () => far.cut.length > before, 300).catch(() => undefined)
      services[victim % 3] = await startService(t, { env })
    }
    assert.ok(far.cut.length > before, 'a request was in flight when its process was killed')
    far.answer()
    await eventually('every alert to be sent', async () => (await sent()) === (round + 1) * checkCount)
  }

  for (const { key } of far.cut) {
    const times = far.heard.filter((one) => one.key === key)
    assert.ok(times.length > 1 && times.at(-1)?.answered, 'sent again with the same key')
  }
  for (const id of ids) {
    const own = far.heard.filter(({ check }) => check === id).map(({ event }) => event)
    assert.match(own.join(' '), /^(down ?)+ (up ?)+ (down ?)+$/)
  }
  const rows = await sql<{ id: string; attempts: number }>(env.DATABASE_URL, 'SELECT id, attempts FROM deliveries')
  assert.deepEqual(rows.map(({ id }) => id).sort(), [...new Set(far.heard.map(({ key }) => key))].sort())
  const repeated = new Set(far.cut.map(({ key }) => key))
  assert.ok(rows.every(({ id, attempts }) => attempts > 1 === repeated.has(id)))
  t.diagnostic(`${rounds} kills, ${far.cut.length} requests in flight, all told again by another process`)
  await Promise.all(services.map((service) => service.stop()))
})
