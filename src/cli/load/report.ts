import type { LoadResult } from './generator.ts'
import type { LoadPlan } from './plan.ts'

export type LoadReport = {
  target: string
  plan: { rate: number; duration_ms: number; connections: number; checks: number; body_bytes: number }
  sent: number
  accepted: number
  refused: Record<string, number>
  unanswered: Record<string, number>
  not_sent: number
  seconds: number
  throughput: number
  latency_ms: { p50: number; p95: number; p99: number; max: number } | null
  /** How many heartbeats the service has, by its own count; null if it could not be asked. */
  found: number | null
  missing: number | null
  interrupted: boolean
  /** What is not as it should be; the exit status is 1 if there is anything. */
  problems: string[]
}

const rounded = (value: number) => Math.round(value * 100) / 100

export function makeReport(
  target: string,
  plan: LoadPlan,
  result: LoadResult,
  { found, interrupted }: { found: number | null; interrupted: boolean },
): LoadReport {
  const { sent, accepted, refused, unanswered, notSent, tookMs, latency } = result
  const ms = (us: number) => rounded(us / 1000)
  const seconds = rounded(tookMs / 1000)
  const report: LoadReport = {
    target,
    plan: {
      rate: plan.rate,
      duration_ms: plan.durationMs,
      connections: plan.connections,
      checks: plan.checks,
      body_bytes: plan.bodyBytes,
    },
    sent,
    accepted,
    refused,
    unanswered,
    not_sent: notSent,
    seconds,
    throughput: tookMs === 0 ? 0 : rounded((accepted * 1000) / tookMs),
    latency_ms:
      sent === 0
        ? null
        : {
            p50: ms(latency.percentile(50)),
            p95: ms(latency.percentile(95)),
            p99: ms(latency.percentile(99)),
            max: ms(latency.max),
          },
    found,
    missing: found === null ? null : Math.max(0, accepted - found),
    interrupted,
    problems: [],
  }
  return { ...report, problems: problemsOf(report, plan) }
}

function problemsOf(report: LoadReport, { maxErrors, maxP99Ms }: LoadPlan): string[] {
  const { sent, accepted, found, missing, latency_ms: latency, interrupted, not_sent: notSent } = report
  const failed = sent - accepted
  const allowed = 'count' in maxErrors ? maxErrors.count : sent * maxErrors.share
  const problems: string[] = []
  if (sent === 0) problems.push('nothing was sent')
  if (failed > allowed) problems.push(`${failed} of ${sent} heartbeats were not accepted`)
  if (latency && maxP99Ms !== undefined && latency.p99 > maxP99Ms)
    problems.push(`the 99th percentile is ${latency.p99} ms, more than ${maxP99Ms} ms`)
  if (notSent > 0 && !interrupted)
    problems.push(`${notSent} heartbeats were not sent: the service was slower than the rate on these connections`)
  if (found === null) problems.push('the service could not be asked how many heartbeats it has')
  if (missing !== null && missing > 0) problems.push(`${missing} accepted heartbeats are not found`)
  return problems
}

export function renderReport(report: LoadReport): string {
  const { plan, sent, accepted, seconds, throughput, latency_ms: latency, found, missing, interrupted } = report
  const counts = (all: Record<string, number>) =>
    Object.entries(all)
      .map(([name, count]) => `${count} × ${name}`)
      .join(', ') || '0'
  const lines = [
    ['target', report.target],
    ['plan', `${plan.rate}/s for ${plan.duration_ms / 1000} s, ${plan.connections} connections, ${plan.checks} checks`],
    ['sent', `${sent} in ${seconds} s${report.not_sent > 0 ? `, ${report.not_sent} not sent` : ''}`],
    ['accepted', `${accepted} (${throughput}/s)`],
    ['refused', counts(report.refused)],
    ['no answer', counts(report.unanswered)],
    [
      'latency',
      latency ? `p50 ${latency.p50} ms · p95 ${latency.p95} ms · p99 ${latency.p99} ms · max ${latency.max} ms` : '-',
    ],
    ['found', found === null ? 'unknown' : `${found}${missing ? `, ${missing} of the accepted are missing` : ''}`],
    [
      'result',
      `${report.problems.length === 0 ? 'as it should be' : report.problems.join('; ')}${interrupted ? ' (interrupted)' : ''}`,
    ],
  ]
  return lines.map(([name = '', text]) => `${name.padEnd(10)} ${text}\n`).join('')
}
