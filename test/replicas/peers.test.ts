// What a replica concludes from the process that answers at the address of another replica.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Peer } from '../../src/blind-time/store.ts'
import { createPeers, replicaHeader } from '../../src/replicas/peers.ts'

const log = { info() {}, debug() {} }
const reportedMs = 100_000
const ownReport = {
  ...{ id: randomUUID(), name: 'own', canSpool: true, spools: true, heardThrough: reportedMs, address: null },
  tokenHash: null,
}

/** A server that answers with `answer`; it can be closed. */
async function somebody(t: TestContext, answer: () => { status: number; replica?: string }) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const { status, replica } = answer()
      response.writeHead(status, replica === undefined ? {} : { [replicaHeader]: replica }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  t.after(close)
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

function world(t: TestContext, address: string) {
  const peer: Peer = {
    ...{ id: randomUUID(), name: 'peer', heardThrough: reportedMs, seenAt: reportedMs, canSpool: true, spools: false },
    ...{ address, tokenHash: null },
  }
  const forgotten: string[] = []
  let now = reportedMs
  const peers = createPeers({
    ...{ token: 'token', log, acknowledgeAfterMs: 2750, now: () => now, monotonic: () => now },
    blindTime: {
      peers: () => [peer],
      selfReport: () => ownReport,
      reported() {},
      forget: async (ids) => void forgotten.push(...ids),
      markFrozen() {},
    },
  })
  t.after(() => peers.close())
  return {
    peer,
    forgotten,
    peers,
    /** The peer reports, and is looked at; then it has not reported for a second, and is looked at again. */
    async meet() {
      peer.seenAt = now
      peer.heardThrough = now
      await peers.probeSilent()
    },
    async miss() {
      now += 1000
      await peers.probeSilent()
    },
    pass: (ms: number) => (now += ms),
  }
}

test('a process that answered at its address, and no longer does, is gone', async (t) => {
  const at = await somebody(t, () => ({ status: 204, replica: peer.id }))
  const { peer, meet, miss, forgotten } = world(t, at.address)
  await meet()
  await at.close()
  await miss()
  assert.deepEqual(forgotten, [peer.id])
})

test('a process whose address another one has taken is gone', async (t) => {
  let replica = ''
  const at = await somebody(t, () => ({ status: replica === peer.id ? 204 : 404, replica }))
  const { peer, meet, miss, forgotten } = world(t, at.address)
  replica = peer.id
  await meet()
  replica = randomUUID()
  await miss()
  assert.deepEqual(forgotten, [peer.id])
})

test('an address at which a replica was never seen proves nothing about it', async (t) => {
  const answers = [
    { status: 404, replica: ownReport.id },
    { status: 404 },
    { status: 204 },
    { status: 200, replica: randomUUID() },
  ]
  for (const answer of answers) {
    const at = await somebody(t, () => answer)
    const { meet, miss, forgotten } = world(t, at.address)
    await meet()
    await miss()
    assert.deepEqual(forgotten, [], JSON.stringify(answer))
  }
  const { meet, miss, forgotten } = world(t, 'http://127.0.0.1:1')
  await meet()
  await miss()
  assert.deepEqual(forgotten, [], 'nobody listens there')
})

test('an address that several replicas share proves nothing about one of them', async (t) => {
  const another = randomUUID()
  let turn = 0
  const at = await somebody(t, () =>
    turn++ % 2 === 0 ? { status: 204, replica: peer.id } : { status: 404, replica: another },
  )
  const { peer, meet, miss, pass, forgotten } = world(t, at.address)
  await meet()
  pass(10_000)
  await meet()
  await miss()
  await miss()
  assert.deepEqual(forgotten, [])
})

test('only another replica can take over heartbeats', async (t) => {
  let answer: { status: number; replica?: string } = { status: 204 }
  const at = await somebody(t, () => answer)
  const { peer, peers } = world(t, at.address)
  assert.equal(await peers.handOver(Buffer.from('records')), false, 'what does not name itself')
  answer = { status: 204, replica: ownReport.id }
  assert.equal(await peers.handOver(Buffer.from('records')), false, 'itself')
  answer = { status: 204, replica: peer.id }
  assert.equal(await peers.handOver(Buffer.from('records')), true)
  answer = { status: 204, replica: randomUUID() }
  assert.equal(await peers.handOver(Buffer.from('records')), true, 'one that came to its place')
})
