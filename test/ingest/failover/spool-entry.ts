// A heartbeat as it is stored in a spool.

import { recordOf } from '../../../src/ingest/failover/heartbeat-record.ts'
import type { Received } from '../../../src/ingest/signal.ts'
import { encodeRecord } from '../../../src/spool/records.ts'
import { received } from '../received.ts'

let made = 0

/** A valid heartbeat of the last minute, except for the given fields. */
export function spoolEntry(given: Parameters<typeof received>[0] = {}): Received {
  made++
  const [id, rid] = [crypto.randomUUID(), crypto.randomUUID()]
  return received({ id, rid, at: Date.now() - 60_000 + made, method: 'POST', ...given })
}

/** The bytes of a heartbeat in a segment. */
export const encodeEntry = (heartbeat: Received): Buffer => encodeRecord(recordOf(heartbeat))
