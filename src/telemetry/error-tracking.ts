// Unexpected errors, as Sentry's events. An event is made of the finished line of the log, so it contains what the log
// contains: no keys, no bodies, no cookies and no query strings. Only the core of the SDK is used: the whole one brings
// an OpenTelemetry of its own and instruments every module. Its versions from 10 on are three times as large.

import { hostname } from 'node:os'
import type { Event, Exception, SeverityLevel, StackParser } from '@sentry/core'
import { createStackParser, createTransport, nodeStackLineParser, ServerRuntimeClient } from '@sentry/core'
import type { Config } from '../config/load.ts'

export type ErrorTracking = ReturnType<typeof startErrorTracking>

const requestTimeoutMs = 5000
/** An error that repeats in a loop must not use up the quota of the receiver. */
const eventsPerMinute = 30
const minuteMs = 60_000
const causesMax = 5

type LoggedError = { type?: string; message?: string; stack?: string; cause?: LoggedError }
type ErrorLine = { level: string; time: string; msg: string; err: LoggedError; fields: Record<string, unknown> }

export function startErrorTracking(
  { sentryEnvironment, sentryRelease }: Config['telemetry'],
  dsn: string,
  about: { version: string; environment: string },
) {
  const stackParser = createStackParser(nodeStackLineParser())
  const client = new ServerRuntimeClient({
    dsn,
    release: sentryRelease ?? `flatline@${about.version}`,
    environment: sentryEnvironment ?? about.environment,
    platform: 'node',
    runtime: { name: 'node', version: process.version },
    serverName: hostname(),
    integrations: [],
    sendClientReports: false,
    stackParser,
    transport: (options) => createTransport(options, ({ body }) => post(options, body)),
  })
  client.init()
  const isAllowed = createAllowance()

  return {
    /** Takes a line of the log. A line of level error without an error is about the world, not about a bug. */
    log(line: string): void {
      if (!/^\{"level":"(?:error|fatal)"/.test(line)) return
      const { level, time, msg, err, ...fields } = JSON.parse(line)
      if (err !== undefined && isAllowed()) client.captureEvent(eventOf({ level, time, msg, err, fields }, stackParser))
    },

    close: (limitMs: number): PromiseLike<boolean> => client.close(limitMs),
  }
}

function eventOf({ level, time, msg, err, fields }: ErrorLine, parse: StackParser): Event {
  const { event, loop, requestId, trace_id, span_id, service: _, version: __, ...extra } = fields
  const tags = Object.entries({ event, loop, requestId }).filter(([, value]) => typeof value === 'string')
  return {
    level: level as SeverityLevel,
    timestamp: Date.parse(time) / 1000,
    logger: 'flatline',
    message: msg,
    exception: { values: exceptionsOf(err, parse, level === 'fatal') },
    tags: Object.fromEntries(tags) as Record<string, string>,
    extra,
    ...(typeof trace_id === 'string' && typeof span_id === 'string' && { contexts: { trace: { trace_id, span_id } } }),
  }
}

/** The causes come first, as the protocol demands. */
function exceptionsOf(err: LoggedError, parse: StackParser, isFatal: boolean): Exception[] {
  const chain: LoggedError[] = []
  for (let one: LoggedError | undefined = err; one !== undefined && chain.length < causesMax; one = one.cause)
    chain.push(one)
  const values = chain.map(({ type, message, stack }): Exception => {
    const frames = stack === undefined ? [] : parse(stack)
    return {
      ...(type !== undefined && { type }),
      ...(message !== undefined && { value: message }),
      ...(frames.length > 0 && { stacktrace: { frames } }),
      mechanism: { type: 'generic', handled: !isFatal },
    }
  })
  return values.reverse()
}

function createAllowance(): () => boolean {
  let began = Number.NEGATIVE_INFINITY
  let count = 0
  return () => {
    const now = performance.now()
    if (now - began >= minuteMs) [began, count] = [now, 0]
    count++
    return count <= eventsPerMinute
  }
}

async function post({ url, headers }: { url: string; headers?: Record<string, string> }, body: string | Uint8Array) {
  const signal = AbortSignal.timeout(requestTimeoutMs)
  const response = await fetch(url, { method: 'POST', body: body as string, signal, ...(headers && { headers }) })
  await response.body?.cancel()
  return {
    statusCode: response.status,
    headers: {
      'x-sentry-rate-limits': response.headers.get('x-sentry-rate-limits'),
      'retry-after': response.headers.get('retry-after'),
    },
  }
}
