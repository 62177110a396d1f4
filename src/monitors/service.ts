import type { WriteAudit } from '../audit/store.ts'
import type { BlindTime } from '../blind-time/service.ts'
import { rulesOf, type Unsettled, type WatchedMonitor } from '../core/monitor.ts'
import { type Change, deadlineOf, type Flip, onTime, type State } from '../core/status.ts'
import type { Queryable } from '../database/client.ts'
import type { Database } from '../database/service.ts'
import { isoMillis } from '../kit/instant.ts'
import type { Quotas } from '../quotas/service.ts'
import { createApplying } from './applying.ts'
import { createEditing } from './editing.ts'
import { createReading } from './reading.ts'
import { createSlugs } from './slugs.ts'
import * as store from './store.ts'

/** The new state of a monitor; without `unsettled` that part stays unchanged. */
export type Decision = {
  monitor: WatchedMonitor
  state: State
  flips: readonly store.CausedFlip[]
  unsettled?: Unsettled | null
}

/** Decides about monitors that are locked, in one transaction; `within` is done beside writing the decisions. */
export type Plan = (
  locked: readonly WatchedMonitor[],
  tx: Queryable,
) => Promise<{ decisions: readonly Decision[]; within?: () => Promise<void> }>

export type Monitors = ReturnType<typeof createMonitors>

export function createMonitors(options: {
  database: Database
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitCheck' | 'admitProvisioned'>
  blindTime: Pick<BlindTime, 'windows' | 'isCurrent' | 'record' | 'judgedUntil'>
  siteUrl: () => string
  countFlip: (flip: Flip, projectId: string) => void
  log: { info(o: object, message: string): void }
}) {
  const { database, blindTime } = options
  const { windows } = blindTime
  const now = () => database.clock.now()
  const listeners: (() => void)[] = []

  function announce(decisions: readonly Decision[]): void {
    if (!decisions.some(({ flips }) => flips.length > 0)) return
    for (const { monitor, flips } of decisions) {
      for (const flip of flips) {
        const { from, to, reason, requestId } = flip
        options.countFlip(flip, monitor.projectId)
        const line = { event: 'flip', check: monitor.id, from, to, reason, at: isoMillis(flip.at), requestId }
        options.log.info(line, 'status changed')
      }
    }
    for (const listener of listeners) listener()
  }

  /**
   * The one path on which heartbeats and deadlines change a status: locks the monitors, lets `plan` decide, writes the
   * decisions with their flips. `plan` runs again if PostgreSQL breaks the transaction off. `limitMs` replaces the
   * usual time limit of each statement, to wait less for a lock.
   */
  async function change(ids: readonly string[], plan: Plan, limitMs?: number): Promise<void> {
    await knowBlindTime()
    const written = await database.transaction(async (tx) => {
      const { decisions, within } = await plan(await store.lockMonitors(tx, ids), tx)
      // At once, not one after the other: they share a round trip.
      await Promise.all([decisions.length > 0 && store.writeChanges(tx, decisions.map(dated)), within?.()])
      return decisions
    }, limitMs)
    announce(written)
  }

  /** After an outage the first heartbeat may come before anything else has noticed the gap: it must not be judged without it. */
  async function knowBlindTime(): Promise<void> {
    if (!blindTime.isCurrent()) await blindTime.record()
  }

  /** `look_at` moves only where it must, because it is indexed and `deadline` is not. */
  function dated(decision: Decision): store.DecidedChange {
    const { monitor, state } = decision
    const deadline = deadlineOf(rulesOf(monitor.settings), state, windows())
    const kept = deadline !== null && monitor.lookAt !== null && monitor.lookAt <= deadline && monitor.lookAt > now()
    const { unsettled = monitor.unsettled } = decision
    return { ...decision, deadline, lookAt: kept ? monitor.lookAt : deadline, unsettled }
  }

  /** Applies the deadlines that have passed before another change, so that both flips are recorded. */
  function settled(monitor: WatchedMonitor, alter: (state: State) => Change, requestId?: string): Decision {
    const timed = onTime(rulesOf(monitor.settings), monitor.state, blindTime.judgedUntil(now()), windows())
    const next = alter(timed.state)
    const asked = next.flip && { ...next.flip, requestId }
    return { monitor, state: next.state, flips: [timed.flip, asked].filter((flip) => flip !== null) }
  }

  const reading = createReading(options)

  const editing = createEditing({ ...options, find: reading.find, announce, knowBlindTime, dated, settled })

  return {
    ...reading,
    ...editing,
    ...createApplying({ database, reading, editing }),
    ...createSlugs(options),
    change,

    /** Called after flips have been committed: a hint, the outbox is the truth. */
    onFlips(listener: () => void): void {
      listeners.push(listener)
    },

    /** The projects of those checks that exist, by their ids. */
    async projectsOf(ids: readonly string[]): Promise<Map<string, string>> {
      return new Map((await store.selectProjectIds(database, ids)).map(({ id, projectId }) => [id, projectId]))
    },

    mailFilters: (ids: readonly string[]): Promise<store.MailFilters[]> => store.selectMailFilters(database, ids),
    due: (before: number, limit: number): Promise<string[]> => store.selectDue(database, before, limit),
    unsettled: (through: number, limit: number): Promise<string[]> => store.selectUnsettled(database, through, limit),
    clearUnsettled: (id: string): Promise<void> => store.clearUnsettled(database, id),
    flipsSince: store.selectFlipsSince,
    lastFlips: store.selectLastFlips,
    redateFlips: store.redateFlips,
    countByStatus: () => store.countByStatus(database),
  }
}
