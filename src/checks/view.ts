// A check as alerts and pages need it: typed, with instants in epoch milliseconds. It becomes JSON only
// when it is sent.

import type { Reading } from '../core/status.ts'
import type { Schedule } from '../schedule/schedule.ts'
import type { CheckDocument } from './document.ts'

export type CheckView = {
  id: string
  name: string
  slug: string
  /** Separated by blanks. */
  tags: string
  desc: string
  /** Null is critical. */
  severity: 'info' | 'warning' | 'critical' | null
  schedule: Schedule
  graceS: number
  status: Reading['status']
  started: boolean
  lastPing: number | null
  nextPing: number | null
  /**
   * The document of version 3 with the status after the change that it reports, although the check may have another one
   * by now.
   */
  document(status: string): CheckDocument
}
