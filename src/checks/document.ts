// The check document of the Healthchecks API (its catalogue, sections 4.4 and 4.7), with our fields behind where set.

import type { BlindWindow } from '../core/blind-time.ts'
import { rulesOf } from '../core/check.ts'
import { readingAt } from '../core/status.ts'
import type { ApiVersion } from '../http/healthchecks-api.ts'
import { isoSeconds } from '../kit/instant.ts'
import { uniqueKey } from './columns.ts'
import type { CheckWithChannels } from './listing-store.ts'

export type CheckDocument = Record<string, string | number | boolean | null>

export type DocumentContext = { siteUrl: string; now: number; windows: readonly BlindWindow[] }

/** Who reads. `readOnly` leaves out what a read-only key must not learn: uuids, which are ping credentials, and all that holds them. */
export type View = { version: ApiVersion; readOnly: boolean }

export function checkDocument(check: CheckWithChannels, context: DocumentContext, view: View): CheckDocument {
  const { settings, state } = check
  const reading = readingAt(rulesOf(settings), state, context.now, context.windows)
  const { started, nextPing } = reading
  // Version 1 tells of an open run in place of the status.
  const status = view.version === 1 && reading.running ? 'started' : reading.status
  return {
    name: settings.name,
    slug: settings.slug,
    tags: settings.tags,
    desc: settings.desc,
    grace: settings.graceS,
    n_pings: state.n,
    status,
    started,
    last_ping: state.lastPing === null ? null : isoSeconds(state.lastPing),
    next_ping: nextPing === null ? null : isoSeconds(nextPing),
    manual_resume: settings.manualResume,
    methods: settings.methods,
    subject: settings.filterSubject ? settings.successKw : '',
    subject_fail: settings.filterSubject ? settings.failureKw : '',
    start_kw: settings.startKw,
    success_kw: settings.successKw,
    failure_kw: settings.failureKw,
    filter_subject: settings.filterSubject,
    filter_body: settings.filterBody,
    filter_http_body: settings.filterHttpBody,
    filter_default_fail: settings.filterDefaultFail,
    badge_url: `${context.siteUrl}/b/2/${check.badgeKey}.svg`,
    ...(state.lastDurationMs === null ? {} : { last_duration: Math.floor(state.lastDurationMs / 1000) }),
    ...(view.readOnly ? { unique_key: uniqueKey(check.id) } : addresses(check, context.siteUrl, view.version)),
    ...(settings.kind === 'simple' ? { timeout: settings.timeoutS } : { schedule: settings.schedule, tz: settings.tz }),
    ...extensions(check, view),
  }
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

function extensions({ settings }: CheckWithChannels, { readOnly }: View): CheckDocument {
  const { parent } = settings
  const fields = {
    max_runtime: settings.maxRuntimeS,
    min_runtime: settings.minRuntimeS,
    failure_threshold: settings.failureThreshold,
    recovery_threshold: settings.recoveryThreshold,
    track_runs: settings.trackRuns,
    max_pings_per_minute: settings.maxPingsPerMinute,
    severity: settings.severity,
    remind_every: settings.remindEveryS,
    early_tolerance: settings.earlyToleranceS,
    paused_until: settings.pausedUntil === null ? null : isoSeconds(settings.pausedUntil),
    parent: parent !== null && readOnly ? uniqueKey(parent) : parent,
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}
