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
  /** Of an `up`: the outage that it ends. `told` is false if nobody on the channel heard of it: this message tells both. */
  outage?: { at: string; reason: FlipReason; told: boolean }
  /** Of an outage: where to say that it has been seen, and to snooze the check. A look at the page changes nothing. */
  links?: { acknowledge: string }
  /** In a storm: all that this one message tells, of which the rest of it is the first. */
  group?: Pick<Message, 'event' | 'check' | 'flip'>[]
  /** Not about a check, whose place in the message is taken by what this is about. */
  notice?: Notice
}

/** What Flatline has to say of itself: a RESOLVED one comes as `up`, any other as `down`. */
export type Notice = { level: 'INFO' | 'WARNING' | 'CRITICAL' | 'RESOLVED'; title: string; text: string }

/** `about` is the same for all notices of one subject, so that the last of them can end what the first began. */
export function noticeMessage(options: {
  notice: Notice
  about: string
  delivery: Message['delivery']
  at: string
  siteUrl: string
}): Message {
  const { notice, about, delivery, at, siteUrl } = options
  const resolved = notice.level === 'RESOLVED'
  const blank = testMessage({ deliveryId: delivery.id, at, siteUrl })
  const [from, to, reason] = resolved ? (['down', 'up', 'recovered'] as const) : (['up', 'down', 'fail'] as const)
  return {
    event: resolved ? 'up' : 'down',
    check: {
      ...blank.check,
      name: notice.title,
      slug: '',
      tags: '',
      desc: notice.text,
      status: to,
      uuid: about,
    },
    flip: { at, from, to, reason },
    delivery,
    notice,
  }
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
