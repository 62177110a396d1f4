// Step one: flips become deliveries. The claim and the deliveries are one transaction, so that a replica which dies in
// between leaves the flips for the next, and two at once make each delivery one time. Flips that the database refuses
// hold back only the flips of the same check.

import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import { isDatabaseAway } from '../kit/availability.ts'
import { countRecentFlips } from './groups-store.ts'
import { leaveToRecovery } from './order-store.ts'
import { endReminders } from './silences-store.ts'
import * as store from './store.ts'
import { gathering, restOfStorm, type StormPolicy } from './storm.ts'

const monitorsMax = 200

export function createOutbox(options: {
  database: Database
  now: () => number
  storm: StormPolicy
  /** Kinds of channels that can tell several alerts in one message. */
  groupingKinds: readonly string[]
  log: { error(o: object, message: string): void }
}) {
  const { database, now, storm, groupingKinds, log } = options
  /**
   * Projects that have used up their single alerts, and until when: to count them again for each change would cost most
   * during a storm.
   */
  const storming = new Map<string, number>()

  async function countRecent(tx: Queryable, projectIds: readonly string[], at: number): Promise<Map<string, number>> {
    for (const [id, until] of storming) if (until <= at) storming.delete(id)
    const calm = projectIds.filter((id) => !storming.has(id))
    const counts = new Map(projectIds.map((id) => [id, storm.singly]))
    if (calm.length === 0) return counts
    for (const [id, { count, since }] of await countRecentFlips(tx, calm, at - storm.windowMs, storm.singly)) {
      counts.set(id, count)
      if (since !== null && count >= storm.singly) storming.set(id, since + storm.windowMs)
    }
    return counts
  }

  /** `made` counts deliveries; `more` says that flips may be left. */
  return async function relay(): Promise<{ made: number; more: boolean }> {
    const monitorIds = await store.pickMonitorsWithFlips(database, monitorsMax)
    if (monitorIds.length === 0) return { made: 0, more: false }
    try {
      return { made: await relayAll(monitorIds), more: monitorIds.length === monitorsMax }
    } catch (error) {
      if (isDatabaseAway(error)) throw error
      return { made: await relayEach(monitorIds), more: false }
    }
  }

  async function relayEach(monitorIds: readonly string[]): Promise<number> {
    let made = 0
    for (const id of monitorIds) {
      made += await relayAll([id]).catch((err: unknown) => {
        if (isDatabaseAway(err)) throw err
        log.error({ err, event: 'outbox.refused', monitor: id }, 'the alerts of a check cannot be written')
        return 0
      })
    }
    return made
  }

  async function relayAll(monitorIds: readonly string[]): Promise<number> {
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
      const recent = await countRecent(tx, projects, at)
      const group = { ...gathering(at, storm), kinds: groupingKinds }
      return store.insertDeliveries(tx, restOfStorm(flips, recent, storm), at, group)
    })
    if (recovered.length > 0) await database.transaction((tx) => leaveToRecovery(tx, recovered, now()))
    return made
  }
}
