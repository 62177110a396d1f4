// Step one: flips become deliveries. The claim and the deliveries are one transaction, so that a replica which dies in between leaves the
// flips for the next, and two at once make each delivery one time.

import type { Database } from '../database/service.ts'
import { countRecentFlips } from './groups-store.ts'
import { leaveToRecovery } from './order-store.ts'
import { endReminders } from './silences-store.ts'
import * as store from './store.ts'
import { gathering, restOfStorm, type StormPolicy } from './storm.ts'

const monitorsMax = 200

export type Outbox = ReturnType<typeof createOutbox>

export function createOutbox(options: {
  database: Database
  now: () => number
  storm: StormPolicy
  /** Kinds of channels that can tell several alerts in one message. */
  groupingKinds: readonly string[]
}) {
  const { database, now, storm, groupingKinds } = options

  /** `made` counts deliveries; `more` says that flips may be left. */
  return async function relay(): Promise<{ made: number; more: boolean }> {
    const monitorIds = await store.pickMonitorsWithFlips(database, monitorsMax)
    if (monitorIds.length === 0) return { made: 0, more: false }
    let recovered: string[] = []
    const made = await database.transaction(async (tx) => {
      const flips = (await store.claimFlips(tx, monitorIds)).flatMap((flip) =>
        flip.to === 'down' || flip.to === 'up' ? [{ ...flip, event: flip.to }] : [],
      )
      recovered = flips.flatMap(({ monitorId, event }) => (event === 'up' ? [monitorId] : []))
      if (flips.length === 0) return 0
      const flipped = [...new Set(flips.map(({ monitorId }) => monitorId))]
      await endReminders(tx, flipped, now())
      const at = now()
      const projects = [...new Set(flips.map(({ projectId }) => projectId))]
      const recent = await countRecentFlips(tx, projects, at - storm.windowMs, storm.singly)
      const group = { ...gathering(at, storm), kinds: groupingKinds }
      return store.insertDeliveries(tx, restOfStorm(flips, recent, storm), at, group)
    })
    if (recovered.length > 0) await database.transaction((tx) => leaveToRecovery(tx, recovered, now()))
    return { made, more: monitorIds.length === monitorsMax }
  }
}
