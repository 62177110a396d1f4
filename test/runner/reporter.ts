// Runs in the process of a test file, as its reporter, and hands its events to test/run.ts, which reports all files as one run.

import { Transform } from 'node:stream'
import { inspect } from 'node:util'
import type { Event } from './report.ts'

type Failure = Error & { failureType?: string; code?: string }

/** @public The child process loads this file by its path. */
export default new Transform({
  writableObjectMode: true,
  transform({ type, data }: Event, _encoding, done) {
    process.send?.({ type, data: cloneable(data) })
    done()
  },
})

/** Errors lose what is special about them when they are cloned: they travel as text. */
function cloneable(data: Event['data']): Event['data'] {
  const error = data.details?.error as Failure | undefined
  if (error === undefined) return data
  const shown = error.code === 'ERR_TEST_FAILURE' && error.cause !== undefined ? error.cause : error
  const text = typeof shown === 'string' ? shown : inspect(shown, { breakLength: 120, depth: 10 })
  return { ...data, details: { ...data.details, error: { text, failureType: error.failureType } } }
}
