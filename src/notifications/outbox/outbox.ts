// Step one: flips become deliveries. The claim and the deliveries are one transaction, so a replica that dies in
// between leaves the flips for the next, and two simultaneous replicas create each delivery once. If the database
// refuses the flips of a check, only those wait. A step creates a limited number of deliveries, and projects take
// turns, so that a project that uploads ten thousand changes of a check with hundreds of channels does not delay the
// alerts of other projects.

import type { Queryable } from '../../database/connection/client.ts'
import type { Database } from '../../database/service.ts'
import { isDatabaseAway } from '../../kit/availability.ts'
import { coalesceWithRecovery } from '../attempts/compose-store.ts'
import { cancelDeliveries } from '../queue/queue-store.ts'
import * as store from './outbox-store.ts'

/** A step counts the channels of at most this many checks. */
const scannedMax = 1000
const checksMax = 200
/** The most deliveries of a step, unless a single flip has more. */
const rowsMax = 5000
const first = '00000000-0000-0000-0000-000000000000'

/** Within `windowMs` the first `singly` flips of a project. A group waits `gatherMs` for more. */
export type StormPolicy = { singly: number; windowMs: number; gatherMs: number }

type OutboxShare = { id: string; most: number }

export function createOutbox(options: {
  database: Database
  now: () => number
  storm: StormPolicy
  /** Kinds of channels that can report several alerts in one message. */
  groupingKinds: readonly string[]
  log: { error(o: object, message: string): void }
}) {
  const { database, now, storm, groupingKinds, log } = options
  /** Projects that have used up their single alerts, and until when: counting again for each flip would be slow in a storm. */
  const storming = new Map<string, number>()
  let after = first

  async function countRecent(tx: Queryable, projectIds: readonly string[], at: number): Promise<Map<string, number>> {
    for (const [id, until] of storming) if (until <= at) storming.delete(id)
    const calm = projectIds.filter((id) => !storming.has(id))
    const counts = new Map(projectIds.map((id) => [id, storm.singly]))
    if (calm.length === 0) return counts
    for (const [id, { count, since }] of await store.countRecentFlips(tx, calm, at - storm.windowMs, storm.singly)) {
      counts.set(id, count)
      if (since !== null && count >= storm.singly) storming.set(id, since + storm.windowMs)
    }
    return counts
  }

  /** `made` counts deliveries; `more` says that flips may be left. */
  return async function relay(): Promise<{ made: number; more: boolean }> {
    const waiting = await nextWaiting()
    const shares = sharesOf(waiting)
    if (shares.length === 0) return { made: 0, more: false }
    try {
      const { made, claimed } = await relayAll(shares)
      return { made, more: shares.length < waiting.length || claimed >= Math.min(...shares.map(({ most }) => most)) }
    } catch (error) {
      if (isDatabaseAway(error)) throw error
      return { made: await relayEach(shares), more: false }
    }
  }

  /** Continues after the checks of the last step, so that every check gets its turn, whatever its id. */
  async function nextWaiting(): Promise<store.CheckWithFlips[]> {
    const waiting = await store.pickChecksWithFlips(database, after, scannedMax)
    const wrapped = after === first || waiting.length === scannedMax ? [] : await restart(scannedMax - waiting.length)
    after = waiting.length === scannedMax ? (waiting.at(-1)?.id ?? first) : first
    return [...waiting, ...wrapped]
  }

  async function restart(limit: number): Promise<store.CheckWithFlips[]> {
    const end = after
    return (await store.pickChecksWithFlips(database, first, limit)).filter(({ id }) => id <= end)
  }

  async function relayEach(shares: readonly OutboxShare[]): Promise<number> {
    let made = 0
    for (const share of shares) {
      made += await relayAll([share]).then(
        (one) => one.made,
        (err: unknown) => {
          if (isDatabaseAway(err)) throw err
          log.error({ err, event: 'outbox.refused', check: share.id }, 'the alerts of a check cannot be written')
          return 0
        },
      )
    }
    return made
  }

  async function relayAll(shares: readonly OutboxShare[]): Promise<{ made: number; claimed: number }> {
    let recovered: string[] = []
    let claimed = 0
    const made = await database.transaction(async (tx) => {
      const all = await store.claimFlips(tx, shares)
      claimed = all.length
      const flips = all.flatMap((flip) => (flip.to === 'down' || flip.to === 'up' ? [{ ...flip, kind: flip.to }] : []))
      recovered = flips.flatMap(({ checkId, kind }) => (kind === 'up' ? [checkId] : []))
      if (flips.length === 0) return 0
      const flipped = [...new Set(flips.map(({ checkId }) => checkId))]
      const at = now()
      // Otherwise a recovery would have to wait for pending reminders.
      await cancelDeliveries(tx, { by: 'check', ids: flipped, kinds: ['reminder', 'escalation'] }, 'recovered', at)
      const projects = [...new Set(flips.map(({ projectId }) => projectId))]
      const recent = await countRecent(tx, projects, at)
      const group = { ...gathering(at, storm), kinds: groupingKinds }
      return store.insertDeliveries(tx, markGrouped(flips, recent, storm), at, group)
    })
    if (recovered.length > 0) await database.transaction((tx) => coalesceWithRecovery(tx, recovered, now()))
    return { made, claimed }
  }
}

/** Projects take turns; the rest of the limit is divided among them. */
function sharesOf(waiting: readonly store.CheckWithFlips[]): OutboxShare[] {
  const chosen: store.CheckWithFlips[] = []
  let rows = 0
  for (const one of waiting.toSorted((a, b) => a.turn - b.turn)) {
    rows += Math.max(1, one.channels)
    if (chosen.length === checksMax || (chosen.length > 0 && rows > rowsMax)) break
    chosen.push(one)
  }
  const each = rowsMax / Math.max(1, chosen.length)
  return chosen.map(({ id, channels }) => ({ id, most: Math.max(1, Math.floor(each / Math.max(1, channels))) }))
}

/** `recent` counts the flips of each project within the window before these. Marks each flip that is to be sent in a group. */
export function markGrouped<F extends { projectId: string }>(
  flips: readonly F[],
  recent: ReadonlyMap<string, number>,
  { singly }: StormPolicy,
): (F & { grouped: boolean })[] {
  const counts = new Map(recent)
  return flips.map((flip) => {
    const count = (counts.get(flip.projectId) ?? 0) + 1
    counts.set(flip.projectId, count)
    return { ...flip, grouped: count > singly }
  })
}

/** Groups gather over spans of equal length, the same for all replicas; each is due when its span ends. */
function gathering(now: number, { gatherMs }: StormPolicy): { span: number; due: number } {
  const span = Math.floor(now / gatherMs)
  return { span, due: (span + 1) * gatherMs }
}
