// Children stay quiet while a parent is down. An outage that begins meanwhile is on record as suppressed; nor is its end told. A child
// that is still down when no ancestor is any more was not told about at all, so that a reminder follows, once its next heartbeat
// should have come: whoever was only cut off says so before that.

import type { Settings } from '../core/monitor.ts'
import { rulesOf } from '../core/monitor.ts'
import { nextDue } from '../core/schedule.ts'
import type { Database } from '../database/service.ts'
import * as store from './parents-store.ts'
import type { ClaimedDelivery } from './store.ts'

const releaseMax = 100
/** A job that runs once a day is not waited for until tomorrow. */
const patienceMs = 3_600_000

export type Parents = ReturnType<typeof createParents>

export function createParents(options: {
  database: Database
  /** Rejects for a check that is gone. */
  settingsOf: (projectId: string, id: string) => Promise<Settings>
  now: () => number
}) {
  const { database, settingsOf, now } = options

  return {
    /** Why a delivery is not to be sent; null if it is. */
    async quietReason({ event, monitorId, channelId, flipSeq }: ClaimedDelivery): Promise<string | null> {
      if (event === 'up') {
        const untold = await store.selectUntold(database, monitorId, channelId, flipSeq - 1)
        return untold ? 'nobody was told that the check was down' : null
      }
      if (event === 'reminder' && !(await store.selectOutageGoesOn(database, monitorId, flipSeq)))
        return 'the check recovered'
      return (await store.selectParentIsDown(database, monitorId)) ? store.parentIsDown : null
    },

    /** Looks again at what was suppressed; true if there may be more. */
    async release(): Promise<boolean> {
      const held = await store.selectReleasable(database, releaseMax)
      if (held.length === 0) return false
      const dues = await Promise.all(held.map((one) => (one.over ? null : dueOf(one))))
      await database.transaction(async (tx) => {
        const settled = new Set(await store.settleHeld(tx, held))
        const reminders = held.flatMap((one, index) => {
          const due = dues[index]
          return due != null && settled.has(one.id) ? [{ ...one, due }] : []
        })
        if (reminders.length > 0) await store.insertReminders(tx, reminders, now())
      })
      return held.length === releaseMax
    },
  }

  async function dueOf({ projectId, monitorId }: store.Held): Promise<number | null> {
    const settings = await settingsOf(projectId, monitorId).catch(() => null)
    if (settings === null) return null
    const rules = rulesOf(settings)
    const next = nextDue(rules.schedule, now()) ?? Number.POSITIVE_INFINITY
    return Math.min(next + rules.graceS * 1000, now() + patienceMs)
  }
}
