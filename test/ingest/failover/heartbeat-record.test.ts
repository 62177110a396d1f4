import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeAll, decodeHeartbeat, encodeHeartbeat, recordOf } from '../../../src/ingest/failover/heartbeat-record.ts'
import { spoolEntry } from './spool-entry.ts'

test('a heartbeat is read as it was written, body included', () => {
  const heartbeats = [
    spoolEntry(),
    spoolEntry({ body: Buffer.from([0, 255, 10]) }),
    spoolEntry({ body: Buffer.alloc(0) }),
    spoolEntry({ acceptedAt: 1_000_000 }),
    spoolEntry({ signature: { header: 't=1,v1=ab', request: 'POST /ping/x', hasBody: true } }),
    spoolEntry({ target: { by: 'slug', project: { keyHash: 'x', kinds: ['ping_key'] }, slug: 's', create: true } }),
  ]
  const acknowledged = heartbeats.map((one) => ({ signature: null, ...one, isAcknowledged: true }))
  assert.deepEqual(decodeAll(heartbeats.map(recordOf)), { heartbeats: acknowledged, unreadable: [] })
})

test('the record of an upload contains the time at which it was accepted', () => {
  assert.equal(recordOf(spoolEntry({ at: 3 })).at, 3)
  assert.equal(recordOf(spoolEntry({ at: 3, acceptedAt: 60 })).at, 60)
})

test('a payload that is not a heartbeat is kept unchanged', () => {
  const payload = Buffer.from('no heartbeat')
  assert.equal(decodeHeartbeat(payload), null)
  assert.deepEqual(decodeAll([{ at: 1, payload }]), { heartbeats: [], unreadable: [payload] })
  assert.notEqual(decodeHeartbeat(encodeHeartbeat(spoolEntry())), null)
})
