// A line of the log as a log record. The line is the one that was written, so it contains no secrets.

import type { Logger } from '@opentelemetry/api-logs'

/** https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber */
const severities: Record<string, number> = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 }

type LoggedLine = {
  level: string
  time: string
  msg?: string
  event?: string
  err?: { type?: string; message?: string; stack?: string }
}

export function createLineExport(logger: Logger): (line: string) => void {
  return (line) => {
    const { level, time, msg, event, err, ...fields } = JSON.parse(line) as LoggedLine & Record<string, never>
    for (const known of ['service', 'version', 'trace_id', 'span_id']) delete fields[known]
    logger.emit({
      timestamp: Date.parse(time),
      severityNumber: severities[level] ?? 0,
      severityText: level,
      ...(msg !== undefined && { body: msg }),
      ...(event !== undefined && { eventName: event }),
      attributes: {
        ...fields,
        ...(event !== undefined && { event }),
        ...(err?.type !== undefined && { 'exception.type': err.type }),
        ...(err?.message !== undefined && { 'exception.message': err.message }),
        ...(err?.stack !== undefined && { 'exception.stacktrace': err.stack }),
      },
    })
  }
}
