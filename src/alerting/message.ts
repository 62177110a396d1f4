// What a transport is given to tell: plain data, ready for the wire.

import type { FlipReason, Status } from '../core/status.ts'
import type { CheckDocument } from '../monitors/document.ts'

export type MessageEvent = 'down' | 'up' | 'reminder' | 'test'

/** Instants are ISO 8601 with milliseconds and +00:00. `delivery.id` is the same on every attempt. */
export type Message = {
  event: MessageEvent
  /** The v3 document as a read-write key sees it, with the status that the flip led to. */
  check: CheckDocument
  flip: { at: string; from: Status; to: Status; reason: FlipReason }
  delivery: { id: string; attempt: number }
  /** Of the request that caused the flip. */
  requestId?: string
  /** Time in which a heartbeat may have been refused. */
  blind?: { from: string; to: string }
  /** The last one before the flip. */
  lastPing?: { body: Buffer | null; exitStatus: number | null }
}

/** What a test of a channel tells about: no check of anybody's. */
export function testMessage(options: { deliveryId: string; at: string; siteUrl: string }): Message {
  const { deliveryId, at, siteUrl } = options
  const uuid = '00000000-0000-4000-8000-000000000000'
  const update = `${siteUrl}/api/v3/checks/${uuid}`
  return {
    event: 'test',
    check: {
      name: 'TEST',
      slug: 'test',
      tags: 'test',
      desc: 'This is a test of a Flatline channel',
      grace: 3600,
      n_pings: 0,
      status: 'down',
      started: false,
      last_ping: null,
      next_ping: null,
      uuid,
      ping_url: `${siteUrl}/ping/${uuid}`,
      update_url: update,
      pause_url: `${update}/pause`,
      resume_url: `${update}/resume`,
      channels: '',
      timeout: 86_400,
    },
    flip: { at, from: 'up', to: 'down', reason: 'timeout' },
    delivery: { id: deliveryId, attempt: 1 },
  }
}
