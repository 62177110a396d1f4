// A heartbeat as a spool holds it.

import { recordOf } from '../../../src/ingest/failover/heartbeat-record.ts'
import type { Received } from '../../../src/ingest/service.ts'
import { encodeRecord } from '../../../src/spool/records.ts'

let made = 0

/** A valid heartbeat, except for the given fields; each has its own id and receive time. */
export function spoolEntry(given: Partial<Received> = {}): Received {
  made++
  return {
    ...{ id: crypto.randomUUID(), at: Date.now() - 60_000 + made, checkId: '', kind: 'success', exitStatus: null },
    ...{ rid: crypto.randomUUID(), method: 'POST', scheme: 'http', remoteAddr: '127.0.0.1', ua: 'test', body: null },
    ...{ requestId: 'r', slug: null, mail: null, pingKeyHash: null, uploader: null, key: null, created: false },
    ...given,
  }
}

/** The bytes of a heartbeat in a segment. */
export const encodeEntry = (received: Received): Buffer => encodeRecord(recordOf(received))
