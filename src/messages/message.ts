// The message that a transport sends, as data. alert.ts puts it into words.

import { createHash } from 'node:crypto'
import type { CheckView } from '../checks/view.ts'
import type { FlipReason, Status } from '../core/status.ts'

export type Severity = 'critical' | 'warning' | 'info' | 'resolved'

/**
 * The text of an operator notice. In a mail that asks its recipient for confirmation, `asks` is the hash of the address
 * that is asked.
 */
export type NoticeText = { severity: Severity; title: string; text: string; asks?: string }

/** Instants are ISO 8601 with milliseconds and +00:00. */
export type Message = CheckMessage | NoticeMessage

/** Of one check, or of several that changed together. */
export type CheckMessage = Envelope & {
  event: 'down' | 'up' | 'reminder' | 'test'
  check: CheckView
  /** The project's name; a test has none. */
  project?: string
  flip: { at: string; from: Status; to: Status; reason: FlipReason }
  /** Critical for an outage, unless this says otherwise. */
  severity?: Severity
  /** In a recovery: the outage that it ended. `untold`: no alert of the outage was sent. */
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
  /** The last ping before the flip. */
  lastPing?: { body: Buffer | null; exitStatus: number | null }
}

/** A message about something other than a check: a channel that was switched off, or the service itself. */
export type NoticeMessage = Envelope & {
  event: 'notice'
  /** In a mail that asks its recipient for confirmation: the hash of the address that is asked. */
  asks?: string
  notice: { severity: Severity; at: string; title: string; text: string; facts?: { label: string; value: string }[] }
}

type Envelope = {
  /** Identifies an incident from an outage to its recovery: the same in both, another one for the next outage. */
  incident: string
  /** `id` is the same on every attempt. */
  delivery: { id: string; attempt: number }
  /** The id of the request that caused the message. */
  requestId?: string
  links?: { check?: string; acknowledge?: string; snooze?: string; unsubscribe?: string; confirm?: string }
}

/** `seq` is the number of the flip that began the outage. */
export function incidentKey(checkId: string, seq: number): string {
  return `flatline-${uniqueKey(checkId)}-${seq}`
}

/** Healthchecks' public alias of a check, whose own id is the credential of its pings. */
export function uniqueKey(checkId: string): string {
  return createHash('sha1').update(checkId.replaceAll('-', '').slice(0, 16)).digest('hex')
}

const tested = {
  id: '00000000-0000-4000-8000-000000000000',
  name: 'TEST',
  slug: 'test',
  tags: 'test',
  desc: 'This is a test of a Flatline channel',
  severity: null,
  schedule: { kind: 'simple', timeoutS: 86_400 },
  graceS: 3600,
  status: 'down',
  started: false,
  lastPing: null,
  nextPing: null,
} as const

/** The message of a channel test, which is about a check that does not exist. */
export function testMessage(options: { deliveryId: string; at: string; siteUrl: string }): CheckMessage {
  const { deliveryId, at, siteUrl } = options
  const uuid = tested.id
  const update = `${siteUrl}/api/v3/checks/${uuid}`
  return {
    event: 'test',
    check: {
      ...tested,
      document: (status) => ({
        name: tested.name,
        slug: tested.slug,
        tags: tested.tags,
        desc: tested.desc,
        grace: tested.graceS,
        n_pings: 0,
        status,
        started: false,
        last_ping: null,
        next_ping: null,
        uuid,
        ping_url: `${siteUrl}/ping/${uuid}`,
        update_url: update,
        pause_url: `${update}/pause`,
        resume_url: `${update}/resume`,
        channels: '',
        timeout: tested.schedule.timeoutS,
      }),
    },
    flip: { at, from: 'up', to: 'down', reason: 'timeout' },
    incident: `flatline-test-${deliveryId}`,
    delivery: { id: deliveryId, attempt: 1 },
  }
}
