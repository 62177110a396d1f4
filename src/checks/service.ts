import type { WriteAudit } from '../audit/store.ts'
import type { BlindTime } from '../blind-time/service.ts'
import { rulesOf, type Unsettled, type WatchedCheck } from '../core/check.ts'
import { type Change, deadlineOf, onTime, type State } from '../core/status.ts'
import type { Queryable } from '../database/connection/client.ts'
import { type DatabaseSession, within } from '../database/service.ts'
import { isoMillis } from '../kit/instant.ts'
import type { Quotas } from '../quotas/service.ts'
import { createApplying } from './definitions/applying.ts'
import { type CancelDeliveries, createEditing, type DeleteHistory } from './editing.ts'
import { createCheckReader } from './reading.ts'
import { createSigning } from './signing/signing.ts'
import { createSlugs } from './slugs.ts'
import { selectByTokens } from './slugs-store.ts'
import * as store from './store.ts'

/** The new state of a check; without `unsettled` that part stays unchanged. */
export type Decision = {
  check: WatchedCheck
  state: State
  flips: readonly store.CausedFlip[]
  unsettled?: Unsettled | null
}

/** Decides about locked checks, in one transaction; `within` runs together with writing the decisions. */
export type Plan = (
  locked: readonly WatchedCheck[],
  tx: Queryable,
) => Promise<{ decisions: readonly Decision[]; within?: () => Promise<void> }>

export type Checks = ReturnType<typeof createChecks>

export function createChecks(options: {
  database: DatabaseSession
  writeAudit: WriteAudit
  quotas: Pick<Quotas, 'admitCheck' | 'admitProvisioned'>
  blindTime: Pick<BlindTime, 'windows' | 'isCurrent' | 'record' | 'evaluatedUntil'>
  siteUrl: () => string
  cancelDeliveries: CancelDeliveries
  deleteHistory: readonly DeleteHistory[]
  /** Called for each status change that has been committed. */
  onFlip: (flip: store.CausedFlip, check: { id: string; projectId: string }) => void
  log: { info(o: object, message: string): void }
  encryption: Parameters<typeof createSigning>[0]['encryption']
}) {
  const { database, blindTime } = options
  const { windows } = blindTime
  const now = () => database.clock.now()
  const listeners: (() => void)[] = []

  function announce(decisions: readonly Decision[]): void {
    if (!decisions.some(({ flips }) => flips.length > 0)) return
    for (const { check, flips } of decisions) {
      for (const flip of flips) {
        const { from, to, reason, requestId } = flip
        options.onFlip(flip, check)
        const line = { event: 'flip', check: check.id, from, to, reason, at: isoMillis(flip.at), requestId }
        options.log.info(line, 'status changed')
      }
    }
    for (const listener of listeners) listener()
  }

  /**
   * The only path on which heartbeats and deadlines change a status: locks the checks, lets `plan` decide, writes the
   * decisions with their flips. `plan` runs again if PostgreSQL aborts the transaction. `limitMs` replaces the usual
   * time limit of each statement, to wait less for a lock.
   */
  async function change(ids: readonly string[], plan: Plan, limitMs?: number): Promise<void> {
    await refreshBlindTime()
    const written = await database.transaction(async (tx) => {
      const { decisions, within } = await plan(await store.lockChecks(tx, ids), tx)
      // In parallel, so that they share a round trip.
      await Promise.all([decisions.length > 0 && store.writeChanges(tx, decisions.map(withDeadline)), within?.()])
      return decisions
    }, limitMs)
    announce(written)
  }

  /** After an outage the first heartbeat may come before the gap is recorded, and must not be evaluated without it. */
  async function refreshBlindTime(): Promise<void> {
    if (!blindTime.isCurrent()) await blindTime.record()
  }

  /** `look_at` moves only when necessary, because it is indexed and `deadline` is not. */
  function withDeadline(decision: Decision): store.DecidedChange {
    const { check, state } = decision
    const deadline = deadlineOf(rulesOf(check.settings), state, windows())
    const kept = deadline !== null && check.lookAt !== null && check.lookAt <= deadline && check.lookAt > now()
    const { unsettled = check.unsettled } = decision
    return { ...decision, deadline, lookAt: kept ? check.lookAt : deadline, unsettled }
  }

  /** Applies the deadlines that have passed before another change, so that both flips are recorded. */
  function afterElapsedTime(check: WatchedCheck, alter: (state: State) => Change, requestId?: string): Decision {
    const timed = onTime(rulesOf(check.settings), check.state, blindTime.evaluatedUntil(now()), windows())
    const next = alter(timed.state)
    const asked = next.flip && { ...next.flip, requestId }
    return { check, state: next.state, flips: [timed.flip, asked].filter((flip) => flip !== null) }
  }

  /** By project. */
  let defaultChannels: ReadonlyMap<string, readonly string[]> = new Map()

  const reading = createCheckReader(options)

  const deciding = { announce, refreshBlindTime, withDeadline, afterElapsedTime }

  const editing = createEditing({
    ...options,
    ...deciding,
    find: reading.find,
    defaultChannels: (projectId) => defaultChannels.get(projectId) ?? [],
  })

  /** What applies definitions within one transaction of the caller. */
  function definitionsWithin(tx: Queryable, defaults: (projectId: string) => readonly string[]) {
    const inside = { ...options, database: within(tx, database) }
    const reading = createCheckReader(inside)
    const decided: Decision[] = []
    const editing = createEditing({
      ...inside,
      ...deciding,
      announce: (decisions) => decided.push(...decisions),
      find: reading.find,
      defaultChannels: defaults,
    })
    const { apply } = createApplying({ database: inside.database, reading, editing, atOnce: 1 })
    return { apply, named: reading.named, pages: reading.pages, committed: () => announce(decided) }
  }

  return {
    ...reading,
    ...editing,
    ...createApplying({ database, reading, editing }),
    ...createSlugs(options),
    signing: createSigning(options),
    change,
    definitionsWithin,

    /** From now on a new check gets these channels of its project if its creator names none. */
    setDefaultChannels(byProject: ReadonlyMap<string, readonly string[]>): void {
      defaultChannels = byProject
    },

    /** Called after flips have been committed: a hint, because the outbox is the truth. */
    onFlips(listener: () => void): void {
      listeners.push(listener)
    },

    /** The projects of those checks that exist, by their ids. */
    async projectsOf(ids: readonly string[]): Promise<Map<string, string>> {
      return new Map((await store.selectProjectIds(database, ids)).map(({ id, projectId }) => [id, projectId]))
    },

    /** The checks that have these push tokens, by the token. */
    async locateTokens(
      tokens: readonly string[],
    ): Promise<Map<string, { id: string; projectId: string; isPaused: boolean }>> {
      return new Map((await selectByTokens(database, tokens)).map((check) => [check.token, check]))
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
