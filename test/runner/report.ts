// One report of many files, by node:test's own reporter: the events of each file together, when it has ended, and the
// totals at the end.

import { spec } from 'node:test/reporters'
import type { Machine } from './machine.ts'

type Details = { error?: unknown; [more: string]: unknown }
type Data = {
  name?: string
  nesting?: number
  message?: string
  counts?: Counts
  details?: Details
  [more: string]: unknown
}
/** As node:test gives it to reporters. */
export type Event = { type: string; data: Data }
export type Counts = Record<'tests' | 'suites' | 'passed' | 'failed' | 'cancelled' | 'skipped' | 'todo', number>

const shown = new Set(['test:start', 'test:pass', 'test:fail', 'test:diagnostic', 'test:stdout', 'test:stderr'])

/** What a file said, and what is wrong with it as a whole, if anything is. */
export type Ended = { events: Event[]; problem?: string }

export function createReport(output: NodeJS.WritableStream) {
  const reporter = new spec()
  reporter.pipe(output, { end: false })
  const began = performance.now()
  const sum: Counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
  const write = (type: string, data: Data) => reporter.write({ type, data })
  const say = (message: string) => write('test:diagnostic', { nesting: 0, message })

  return {
    add(file: string, { events, problem }: Ended): void {
      const summary = events.find(({ type }) => type === 'test:summary')
      const counts = summary?.data.counts ?? countOf(events)
      for (const key of Object.keys(sum) as (keyof Counts)[]) sum[key] += counts[key]
      const end = summary ? withoutSummary(events) : events.length
      for (const { type, data } of events.slice(0, end)) if (shown.has(type)) write(type, readable(data))
      if (problem === undefined) return
      sum.failed++
      const start = { name: file, nesting: 0, file, line: 1, column: 1 }
      write('test:start', start)
      write('test:fail', { ...start, details: { duration_ms: 0, error: asError({ text: problem }) } })
    },
    /** Writes the sum and the failures; returns whether all is well. */
    async end({ slowness, ms }: Machine): Promise<boolean> {
      say(`slowness ${slowness.toFixed(1)} at the start, by ms of ${JSON.stringify(ms)}`)
      const { passed, failed, ...others } = sum
      const { tests, suites, ...rest } = others
      const lines = { tests, suites, pass: passed, fail: failed, ...rest, duration_ms: performance.now() - began }
      for (const [name, value] of Object.entries(lines)) say(`${name} ${value}`)
      await new Promise<void>((resolve) => reporter.once('end', resolve).end())
      return failed + sum.cancelled === 0
    },
  }
}

/** Where the lines begin that node:test adds at the end of a file: its counts, which are part of the sum here. */
function withoutSummary(events: readonly Event[]): number {
  return events.findIndex(
    ({ type, data }) => type === 'test:diagnostic' && data.nesting === 0 && /^tests \d+$/.test(data.message ?? ''),
  )
}

/** Of a file that ended before it counted. */
function countOf(events: readonly Event[]): Counts {
  const ended = (type: string) => events.filter((event) => event.type === type).length
  const [passed, failed] = [ended('test:pass'), ended('test:fail')]
  return { tests: passed + failed, suites: 0, passed, failed, cancelled: 0, skipped: 0, todo: 0 }
}

function readable(data: Data): Data {
  const error = data.details?.error as { text: string; failureType?: string } | undefined
  return error === undefined ? data : { ...data, details: { ...data.details, error: asError(error) } }
}

function asError({ text, failureType }: { text: string; failureType?: string }): Error {
  const error = Object.assign(new Error(text), { stack: text })
  // Read by the reporter, and no part of what it shows.
  return Object.defineProperty(error, 'failureType', { value: failureType })
}
