// Evaluates again what could not be decided finally when it was recorded: history that a late heartbeat may change, and
// deadlines that passed while another replica may have held heartbeats (core/reevaluate.ts). It waits until every
// replica is heard through the end of that history. Two replicas may do it at once: the second finds the check settled.

import { setImmediate as turn } from 'node:timers/promises'
import type { Checks, Decision } from '../../checks/service.ts'
import type { BlindWindow } from '../../core/blind-time.ts'
import { rulesOf, type WatchedCheck } from '../../core/check.ts'
import { type Reconciled, type Redated, type Reevaluated, reconcile, reevaluateInSteps } from '../../core/reevaluate.ts'
import { nameUnheard, type Watermark } from '../../core/watermark.ts'
import type { Database } from '../../database/service.ts'
import { isDatabaseAway } from '../../kit/availability.ts'
import { selectHistory, selectSizes } from './settling-store.ts'

/** How many heartbeats before the re-evaluated part are read, to know which runs were open. */
const warmUpMax = 200
/** Of a longer history only the newest part is evaluated: with so many heartbeats none was missing. */
const evaluatedMax = 10_000
const flipsMax = 1000
const batchMax = 50
/**
 * The limit of one transaction, unless one check alone has more: the rows stay locked, and the heartbeats in memory,
 * until it ends.
 */
const heartbeatsMax = 1000

export function createSettling(options: {
  database: Database
  checks: Pick<Checks, 'change' | 'unsettled' | 'clearUnsettled' | 'flipsSince' | 'redateFlips'>
  windows: () => readonly BlindWindow[]
  isCurrent: () => boolean
  watermark: () => Watermark
  /** Receive time of the oldest heartbeat here that is not in the database yet. */
  oldestWaiting: () => number | null
  log: { warn(o: object, message: string): void; error(o: object, message: string): void }
}) {
  const { database, checks, windows, isCurrent, watermark, oldestWaiting, log } = options

  async function settle(ids: readonly string[], through: number): Promise<void> {
    const corrected: string[] = []
    await checks.change(ids, async (locked, tx) => {
      corrected.length = 0
      const changed: (Redated & { id: string })[] = []
      const due = locked.filter(({ unsettled }) => isCurrent() && unsettled !== null && unsettled.to <= through)
      const histories = await selectHistory(tx, due, { warmUpMax, evaluatedMax })
      const since = new Map(due.map(({ id, unsettled }) => [id, histories.get(id)?.[0]?.at ?? unsettled?.from ?? 0]))
      const flips = await checks.flipsSince(
        tx,
        [...since].map(([id, at]) => ({ id, since: at })),
        flipsMax,
      )
      const decisions: Decision[] = []
      for (const check of due) {
        const { id } = check
        const history = { heartbeats: histories.get(id) ?? [], flips: flips.get(id) ?? [] }
        const { corrects, redated, ...decision } = await reevaluate(check, history, through)
        if (corrects) corrected.push(id)
        for (const flip of redated) changed.push({ id, ...flip })
        decisions.push(decision)
      }
      return { decisions, within: () => checks.redateFlips(tx, changed) }
    })
    for (const check of corrected) {
      log.warn({ event: 'settling.corrected', check }, 'late heartbeats corrected the status of a check')
    }
  }

  async function reevaluate(
    check: WatchedCheck,
    history: Parameters<typeof reevaluateInSteps>[2],
    through: number,
  ): Promise<Decision & Pick<Reconciled, 'corrects' | 'redated'>> {
    const from = check.unsettled?.from ?? 0
    const evaluated = await inTurns(
      reevaluateInSteps(rulesOf(check.settings), check.state, history, from, through, windows()),
    )
    const recorded = history.flips.filter(({ at }) => at >= from)
    const { state, flips, corrects, redated } = reconcile(check.state, recorded, evaluated, through)
    const named = flips.map((flip) => nameUnheard(flip, watermark().unheard))
    return { check, state, flips: named, unsettled: evaluated.unsettled, corrects, redated }
  }

  /** A check that cannot be evaluated must not keep the others from being evaluated. */
  async function settleEach(ids: readonly string[], through: number, error: Error): Promise<void> {
    if (isDatabaseAway(error)) throw error
    for (const id of ids) {
      await settle([id], through).catch(async (err: Error) => {
        if (isDatabaseAway(err)) throw err
        log.error({ err, event: 'settling.failed', check: id }, 'the history of a check cannot be evaluated again')
        await checks.clearUnsettled(id)
      })
    }
  }

  /** Evaluates every check again that is due; true if there may be more. */
  return async function settleDue(): Promise<boolean> {
    if (!isCurrent()) return false
    const through = Math.min(
      database.clock.now(),
      watermark().through,
      (oldestWaiting() ?? Number.POSITIVE_INFINITY) - 1,
    )
    const ids = await checks.unsettled(through, batchMax)
    for (const group of groupsOf(ids, await selectSizes(database, ids, heartbeatsMax)))
      await settle(group, through).catch((error: Error) => settleEach(group, through, error))
    return ids.length === batchMax
  }
}

/** Lets the event loop do other work between the steps of a long history. */
async function inTurns(steps: Generator<undefined, Reevaluated, undefined>): Promise<Reevaluated> {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
    await turn()
  }
}

function groupsOf(ids: readonly string[], sizes: ReadonlyMap<string, number>): string[][] {
  const groups: string[][] = []
  let left = 0
  for (const id of ids) {
    const size = sizes.get(id) ?? 0
    if (size > left || groups.length === 0) {
      groups.push([])
      left = heartbeatsMax
    }
    groups.at(-1)?.push(id)
    left -= size
  }
  return groups
}
