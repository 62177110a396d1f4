// The document of a check in the three versions of the Healthchecks API (https://healthchecks.io/docs/api/). Flatline's
// own fields come last, and only if they are set.

import type { BlindWindow } from '../core/blind-time.ts'
import { rulesOf } from '../core/check.ts'
import { readingAt } from '../core/status.ts'
import type { ApiVersion } from '../http/schemas/healthchecks-api.ts'
import { isoSeconds } from '../kit/instant.ts'
import { uniqueKey } from './fields/columns.ts'
import { type AnyField, type Settings, wireFields, wireValue } from './fields/fields.ts'
import type { CheckWithChannels } from './listing-store.ts'

export type CheckDocument = Record<string, string | number | boolean | null>

export type DocumentContext = { siteUrl: string; now: number; windows: readonly BlindWindow[] }

/**
 * The reader. `readOnly` leaves out what a read-only key must not see: uuids, which are ping credentials, and addresses
 * that contain one.
 */
export type View = { version: ApiVersion; readOnly: boolean }

const theirs = wireFields.filter(({ isOurs, isSchedule }) => !isOurs && !isSchedule)
const indexOf = (setting: keyof Settings) => theirs.findIndex((field) => field.setting === setting)
/** The documents of Healthchecks have the state and the older names of the keywords between these. */
export const documentParts = {
  about: theirs.slice(0, indexOf('manualResume')),
  acceptance: theirs.slice(indexOf('manualResume'), indexOf('startKw')),
  filters: theirs.slice(indexOf('startKw')),
}
const ourFields = wireFields.filter(({ isOurs }) => isOurs)

export function checkDocument(check: CheckWithChannels, context: DocumentContext, view: View): CheckDocument {
  const { settings, state } = check
  const reading = readingAt(rulesOf(settings), state, context.now, context.windows)
  const { started, nextPing } = reading
  // Version 1 shows an open run instead of the status.
  const status = view.version === 1 && reading.running ? 'started' : reading.status
  return {
    ...valuesOf(documentParts.about, settings),
    n_pings: state.n,
    status,
    started,
    last_ping: state.lastPing === null ? null : isoSeconds(state.lastPing),
    next_ping: nextPing === null ? null : isoSeconds(nextPing),
    ...valuesOf(documentParts.acceptance, settings),
    subject: settings.filterSubject ? settings.successKw : '',
    subject_fail: settings.filterSubject ? settings.failureKw : '',
    ...valuesOf(documentParts.filters, settings),
    badge_url: `${context.siteUrl}/b/2/${check.badgeKey}.svg`,
    ...(state.lastDurationMs === null ? {} : { last_duration: Math.floor(state.lastDurationMs / 1000) }),
    ...(view.readOnly ? { unique_key: uniqueKey(check.id) } : addresses(check, context.siteUrl, view.version)),
    ...(settings.kind === 'simple' ? { timeout: settings.timeoutS } : { schedule: settings.schedule, tz: settings.tz }),
    ...extensions(settings, view),
    ...(check.signingSecret ? { signed: true } : {}),
  }
}

function valuesOf(fields: readonly AnyField[], settings: Settings): CheckDocument {
  const document: CheckDocument = {}
  for (const field of fields) document[field.name] = wireValue(field, settings, 'seconds')
  return document
}

function addresses(check: CheckWithChannels, siteUrl: string, version: ApiVersion): CheckDocument {
  const update = `${siteUrl}/api/v${version}/checks/${check.id}`
  return {
    uuid: check.id,
    ping_url: `${siteUrl}/ping/${check.id}`,
    update_url: update,
    pause_url: `${update}/pause`,
    resume_url: `${update}/resume`,
    channels: check.channels,
  }
}

/** The own fields that are set. The uuid of the parent is a ping credential, too. */
function extensions(settings: Settings, { readOnly }: View): CheckDocument {
  const document: CheckDocument = {}
  for (const field of ourFields)
    if (settings[field.setting] !== null) document[field.name] = wireValue(field, settings, 'seconds')
  if (readOnly) delete document.push_token
  if (readOnly && settings.parent !== null) document.parent = uniqueKey(settings.parent)
  return document
}
