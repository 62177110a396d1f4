// A heartbeat as it lies in a spool.

import type { Received } from '../../src/heartbeats/service.ts'

let made = 0

/** One that is valid but for what is said otherwise; each has an id and a moment of its own. */
export function spoolEntry(given: Partial<Received> = {}): Received {
  made++
  return {
    ...{ id: crypto.randomUUID(), at: Date.now() - 60_000 + made, monitorId: '', kind: 'success', exitStatus: null },
    ...{ rid: crypto.randomUUID(), method: 'POST', scheme: 'http', remoteAddr: '127.0.0.1', ua: 'test', body: null },
    ...{ requestId: 'r', slug: null, mail: null, pingKeyHash: null, uploader: null, key: null, created: false },
    ...given,
  }
}
