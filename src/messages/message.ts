// What a transport is given to tell: plain data, ready for the wire. alert.ts turns it into words.

import { createHash } from 'node:crypto'
import type { CheckDocument } from '../checks/document.ts'
import type { FlipReason, Status } from '../core/status.ts'

export type Severity = 'critical' | 'warning' | 'info' | 'resolved'

/** The text of an operator notice. `asks` is set in a mail that asks its recipient for confirmation: the hash of the address that is asked. */
export type NoticeText = { severity: Severity; title: string; text: string; asks?: string }

/** Instants are ISO 8601 with milliseconds and +00:00. */
export type Message = CheckMessage | NoticeMessage

/** Of one check, or of several that changed together. */
export type CheckMessage = Envelope & {
  event: 'down' | 'up' | 'reminder' | 'test'
  /** The v3 document as a read-write key sees it, with the status that the flip led to. */
  check: CheckDocument
  /** The project's name; a test has none. */
  project?: string
  flip: { at: string; from: Status; to: Status; reason: FlipReason }
  /** Critical for an outage, unless this says otherwise. */
  severity?: Severity
  /** With a recovery: the outage that it ended. `untold`: no alert of the outage was sent. */
  outage?: { at: string; reason: FlipReason; untold?: boolean }
  /** How many reminders of the outage were sent, this one included. */
  reminder?: number
  /** Sent because nobody has acknowledged the earlier alert. */
  escalated?: true
  /** The rest of a group: `check` and `flip` are the first of it, the most severe. */
  others?: Pick<CheckMessage, 'check' | 'flip'>[]
  /** Time in which a heartbeat may have been refused. */
  blind?: { from: string; to: string }
  /** A replica that may have acknowledged a heartbeat and has not reported since. */
  unheard?: { replica: string; since: string }
  /** The last one before the flip. */
  lastPing?: { body: Buffer | null; exitStatus: number | null }
}

/** Of something else than a check: a channel that was switched off, the service itself. */
export type NoticeMessage = Envelope & {
  event: 'notice'
  /** In a mail that asks its recipient for confirmation: the hash of the address that is asked. */
  asks?: string
  notice: { severity: Severity; at: string; title: string; text: string; facts?: { label: string; value: string }[] }
}

type Envelope = {
  /** Names what lasts from an outage to its recovery: the same in both, another for the next outage. */
  incident: string
  /** `id` is the same on every attempt. */
  delivery: { id: string; attempt: number }
  /** Of the request that caused the message. */
  requestId?: string
  links?: { check?: string; acknowledge?: string; snooze?: string; unsubscribe?: string; confirm?: string }
}

/** `seq` is of the flip that began the outage. */
export function incidentKey(checkId: string, seq: number): string {
  return `flatline-${uniqueKey(checkId)}-${seq}`
}

/** Healthchecks' public alias of a check, whose own id is the credential of its pings. */
export function uniqueKey(checkId: string): string {
  return createHash('sha1').update(checkId.replaceAll('-', '').slice(0, 16)).digest('hex')
}

/** What a test of a channel tells about: no check of anybody's. */
export function testMessage(options: { deliveryId: string; at: string; siteUrl: string }): CheckMessage {
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
    incident: `flatline-test-${deliveryId}`,
    delivery: { id: deliveryId, attempt: 1 },
  }
}
