// How much load, within limits: a mistyped number must not be an attack.

import type { GivenValues, Options } from '../arguments/options.ts'
import { UsageError } from '../errors.ts'
import { targetOptions } from '../target/target.ts'

export type LoadPlan = {
  /** Heartbeats a second. */
  rate: number
  durationMs: number
  connections: number
  checks: number
  bodyBytes: number
  requestTimeoutMs: number
  /** How long after the load all accepted heartbeats must be found. */
  settleMs: number
  maxP99Ms: number | undefined
  maxErrors: { count: number } | { share: number }
}

const limits = {
  rate: { default: 20, safe: 100, most: 5000, what: 'heartbeats a second' },
  durationMs: { default: 10_000, safe: 60_000, most: 3_600_000, what: 'ms' },
  connections: { default: 4, safe: 20, most: 200, what: 'connections' },
  checks: { default: 10, safe: 50, most: 500, what: 'checks' },
  bodyBytes: { default: 0, safe: 10_000, most: 100_000, what: 'bytes' },
} as const

export const loadOptions: Options = {
  rate: { kind: 'integer', about: `heartbeats a second (default ${limits.rate.default})` },
  duration: { kind: 'seconds', about: 'how long (default 10s)' },
  connections: { kind: 'integer', about: `at most so many at a time (default ${limits.connections.default})` },
  checks: { kind: 'integer', about: `checks that get them in turn (default ${limits.checks.default})` },
  'body-bytes': { kind: 'integer', about: 'size of the body of each (default 0)' },
  heavy: { kind: 'flag', about: 'allows more than 100/s, 60s, 20 connections, 50 checks or 10000 bytes' },
  timeout: { kind: 'milliseconds', about: 'for one answer (default 10s)' },
  settle: { kind: 'milliseconds', about: 'how long after the load everything accepted must be found (default 30s)' },
  'max-p99': { kind: 'milliseconds', about: 'the 99th percentile may be so long' },
  'max-errors': { kind: 'text', about: 'how many heartbeats may fail, or which part, such as 1% (default 0)' },
  'clean-up': { kind: 'flag', about: 'only delete the checks that a killed run has left behind' },
  ...targetOptions,
}

/** Throws UsageError beyond a limit. */
export function readPlan(values: GivenValues): LoadPlan {
  const given = {
    rate: values.rate,
    durationMs: values.duration === undefined ? undefined : Number(values.duration) * 1000,
    connections: values.connections,
    checks: values.checks,
    bodyBytes: values.body_bytes,
  } as Record<keyof typeof limits, number | undefined>
  const amounts = Object.fromEntries(
    Object.entries(limits).map(([name, limit]) => [name, given[name as keyof typeof limits] ?? limit.default]),
  ) as Record<keyof typeof limits, number>
  for (const [name, { safe, most, what }] of Object.entries(limits)) {
    const amount = amounts[name as keyof typeof limits]
    const least = name === 'bodyBytes' ? 0 : 1
    if (amount < least || amount > most) throw new UsageError(`${amount} ${what}: ${least} to ${most} are possible`)
    if (amount > safe && !values.heavy)
      throw new UsageError(`${amount} ${what} may disturb the service: add --heavy for more than ${safe}`)
  }
  return {
    ...amounts,
    requestTimeoutMs: within('--timeout', (values.timeout as number | undefined) ?? 10_000, 60_000),
    settleMs: within('--settle', (values.settle as number | undefined) ?? 30_000, 600_000),
    maxP99Ms: values.max_p99 as number | undefined,
    maxErrors: readErrors(String(values.max_errors ?? '0')),
  }
}

function within(option: string, ms: number, most: number): number {
  if (ms < 1 || ms > most) throw new UsageError(`${option} is from 1 ms to ${most / 1000} s`)
  return ms
}

function readErrors(text: string): LoadPlan['maxErrors'] {
  const [, number, percent] = /^(\d{1,9}(?:\.\d{1,6})?)(%?)$/.exec(text) ?? []
  if (number === undefined || (percent === '' && number.includes('.')) || (percent === '%' && Number(number) > 100))
    throw new UsageError('--max-errors is a number of heartbeats, or a part such as 0.1%')
  return percent === '%' ? { share: Number(number) / 100 } : { count: Number(number) }
}
