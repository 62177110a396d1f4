// The check document of the Healthchecks API, version 3 (its catalogue, section 4.4), with our fields behind where set.

import { createHash } from 'node:crypto'
import type { BlindWindow } from '../core/blind-time.ts'
import { isoSeconds } from '../core/instant.ts'
import { rulesOf } from '../core/monitor.ts'
import { readingAt } from '../core/status.ts'
import type { MonitorWithChannels } from './store.ts'

export type CheckDocument = Record<string, string | number | boolean | null>

export type DocumentContext = { siteUrl: string; now: number; windows: readonly BlindWindow[] }

/** `readOnly` leaves out what a read-only key must not learn: the uuid, which is the ping credential, and all that holds it. */
export function checkDocument(
  monitor: MonitorWithChannels,
  context: DocumentContext,
  readOnly: boolean,
): CheckDocument {
  const { settings, state } = monitor
  const { status, started, nextPing } = readingAt(rulesOf(settings), state, context.now, context.windows)
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
    badge_url: `${context.siteUrl}/b/2/${monitor.badgeKey}.svg`,
    ...(state.lastDurationMs === null ? {} : { last_duration: Math.floor(state.lastDurationMs / 1000) }),
    ...(readOnly ? { unique_key: uniqueKey(monitor.id) } : addresses(monitor, context.siteUrl)),
    ...(settings.kind === 'simple' ? { timeout: settings.timeoutS } : { schedule: settings.schedule, tz: settings.tz }),
    ...extensions(monitor),
  }
}

/** Public alias of a check: SHA-1 of the first half of its uuid, as Healthchecks makes it, so that dashboards survive a move. */
export function uniqueKey(id: string): string {
  return createHash('sha1').update(id.replaceAll('-', '').slice(0, 16)).digest('hex')
}

function addresses(monitor: MonitorWithChannels, siteUrl: string): CheckDocument {
  const update = `${siteUrl}/api/v3/checks/${monitor.id}`
  return {
    uuid: monitor.id,
    ping_url: `${siteUrl}/ping/${monitor.id}`,
    update_url: update,
    pause_url: `${update}/pause`,
    resume_url: `${update}/resume`,
    channels: monitor.channels,
  }
}

function extensions({ settings }: MonitorWithChannels): CheckDocument {
  const fields = {
    max_runtime: settings.maxRuntimeS,
    min_runtime: settings.minRuntimeS,
    failure_threshold: settings.failureThreshold,
    recovery_threshold: settings.recoveryThreshold,
    track_runs: settings.trackRuns,
    max_pings_per_minute: settings.maxPingsPerMinute,
    early_tolerance: settings.earlyToleranceS,
    paused_until: settings.pausedUntil === null ? null : isoSeconds(settings.pausedUntil),
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}
