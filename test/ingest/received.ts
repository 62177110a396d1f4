// Heartbeats as the service receives them, for tests.

import type { Received, Sender } from '../../src/ingest/signal.ts'

type Given = Partial<Received> & Partial<Sender> & { checkId?: string }

let made = 0

/** A valid heartbeat, except for the given fields; each has its own id. `checkId` is short for a target by that id. */
export function received(given: Given = {}): Received {
  const { checkId = '', address, remoteAddr, scheme, method, ua, ...fields } = given
  const id = `00000000-0000-7000-8000-${String(++made).padStart(12, '0')}`
  const at = given.at ?? made
  return {
    ...{ id, at, acceptedAt: at, target: { by: 'id', checkId, within: null }, kind: 'success', exitStatus: null },
    ...{ rid: null, dedupeKey: null, body: null, mail: null, requestId: 'r' },
    sender: {
      address: address ?? remoteAddr ?? '127.0.0.1',
      remoteAddr: remoteAddr ?? '127.0.0.1',
      scheme: scheme ?? 'http',
      method: method ?? 'GET',
      ua: ua ?? 'test',
    },
    ...fields,
  }
}
