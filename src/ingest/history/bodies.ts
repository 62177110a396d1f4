// Keeps the bodies of heartbeats within the quotas of their checks and projects, outside of the transaction that
// records them: this file counts the bytes that are written, and a loop stores the sums, removes the oldest bodies of
// checks that have too many, and closes projects that are over their quota. A heartbeat is recorded and counted whether
// or not its body is kept.

import { LRUCache } from 'lru-cache'
import type { Database } from '../../database/service.ts'
import { atMost } from '../../kit/cache.ts'
import type { Quota } from '../../quotas/limits.ts'
import type { Quotas } from '../../quotas/service.ts'
import type { ByCheck } from '../signal.ts'
import * as store from './bodies-store.ts'

export type Bodies = ReturnType<typeof createBodies>

/** The quota that a body exceeds, so that it is not kept or is removed. */
export type BodyQuota = 'check' | 'project'

/** The part that recording uses. */
export type BodyAccount = Pick<Bodies, 'closed' | 'wrote'>

/** How full a check may be after its oldest bodies were removed, so that not every new body removes one. */
const fullAfter = 0.9
/** A check with this many times its quota keeps no more bodies until the oldest are removed. */
const overfullAt = 3
const limitsMax = 10_000
const pageSize = 5000
const removedAtOnce = 1000

export function createBodies(options: {
  database: Pick<Database, 'query' | 'transaction'>
  quotas: Pick<Quotas, 'ofMany' | 'defaults'>
  count: (quota: BodyQuota, n: number) => void
  /** Called when a check is over its quota, so that the next step begins at once. */
  onFull: () => void
}) {
  const { database, quotas, count } = options
  const limits = new LRUCache<string, Quota>(atMost(limitsMax))
  let closed = store.openToBodies
  let usage = new Map<string, store.Usage>()
  let totals = new Map<string, store.Total>()

  function addTo(target: Map<string, store.Usage>, one: store.Usage): void {
    const key = `${one.projectId}/${one.day}`
    const known = target.get(key)
    target.set(key, known ? { ...one, bytes: known.bytes + one.bytes } : one)
  }

  /** Adds the counts to the database; if that fails, they stay in memory. */
  async function flush(): Promise<void> {
    const tallied = usage
    usage = new Map()
    try {
      await store.addUsage(database, [...tallied.values()])
    } catch (error) {
      for (const one of tallied.values()) addTo(usage, one)
      throw error
    }
  }

  function open(checkId: string): void {
    if (!closed.checks.has(checkId)) return
    closed = { ...closed, checks: new Set([...closed.checks].filter((id) => id !== checkId)) }
  }

  async function closeFull(projectIds: readonly string[], current: ReadonlyMap<string, Quota>): Promise<void> {
    const used = await store.selectUsage(database, projectIds)
    const isFull = (id: string) => (used.get(id) ?? 0) >= (current.get(id) ?? quotas.defaults).body_bytes
    closed = { ...closed, projects: projectIds.filter(isFull) }
  }

  /**
   * `kept` is the number of bytes that fit into `limit`, from the newest body on; `from` is the newest body that does
   * not fit, null if all fit.
   */
  async function surplusOf(
    checkId: string,
    limit: number,
  ): Promise<{ kept: number; from: { at: number; id: string } | null }> {
    let kept = 0
    let after: { at: number; id: string } | null = null
    for (;;) {
      const page = await store.selectKept(database, checkId, after, pageSize)
      for (const body of page) {
        if (kept + body.bytes > limit) return { kept, from: body }
        kept += body.bytes
      }
      after = page.at(-1) ?? null
      if (page.length < pageSize) return { kept, from: null }
    }
  }

  /** Removes the oldest bodies of a check. If none has to go, the stored count is too large and is corrected. */
  async function trim({ checkId, projectId }: store.Total, limit: number, signal: AbortSignal): Promise<void> {
    const before = await store.selectTotal(database, checkId)
    if (before === null) return
    const { kept, from } = await surplusOf(checkId, Math.floor(limit * fullAfter))
    if (from === null) return store.correctTotal(database, checkId, before, kept)
    for (let removed = removedAtOnce; removed === removedAtOnce && !signal.aborted; ) {
      const gone = await database.transaction(async (tx) => {
        const days = await store.deleteBodies(tx, checkId, from, removedAtOnce)
        await store.growTotals(tx, new Map([[checkId, -days.reduce((sum, { bytes }) => sum + bytes, 0)]]))
        await store.addUsage(
          tx,
          days.map(({ day, bytes }) => ({ projectId, day, bytes: -bytes })),
        )
        return days
      })
      removed = gone.reduce((sum, day) => sum + day.count, 0)
      count('check', removed)
    }
  }

  return {
    /** The checks that have far too many bodies, and the projects that are over their quota. */
    closed: (): store.ClosedToBodies => closed,

    /**
     * `written` are the byte counts of checks whose bodies were stored; `byCheck` are all heartbeats that were stored,
     * with or without bodies; `closedThen` is what was closed when they were written.
     */
    wrote(written: readonly store.Total[], byCheck: ByCheck, closedThen: store.ClosedToBodies): void {
      const byId = new Map(written.map((one) => [one.checkId, one]))
      for (const [checkId, received] of byCheck) {
        const one = byId.get(checkId)
        for (const { body, at } of received) {
          if (body === null || body.length === 0) continue
          if (closedThen.checks.has(checkId)) count('check', 1)
          else if (one === undefined) count('project', 1)
          else addTo(usage, { projectId: one.projectId, day: dayOf(at), bytes: body.length })
        }
      }
      const overfull: string[] = []
      for (const one of written) {
        totals.set(one.checkId, one)
        const limit = (limits.get(one.projectId) ?? quotas.defaults).body_bytes_per_check
        if (one.total > limit * overfullAt) overfull.push(one.checkId)
        if (one.total > limit) options.onFull()
      }
      if (overfull.length > 0) closed = { ...closed, checks: new Set([...closed.checks, ...overfull]) }
    },

    async step(signal: AbortSignal): Promise<void> {
      if (usage.size === 0 && totals.size === 0 && closed.projects.length === 0 && closed.checks.size === 0) return
      const looked = totals
      totals = new Map()
      const projectIds = [...new Set([...[...looked.values()].map(({ projectId }) => projectId), ...closed.projects])]
      try {
        await flush()
        // Kept in a variable, because the cache may hold fewer projects than these.
        const current = await quotas.ofMany(database, projectIds)
        for (const [id, quota] of current) limits.set(id, quota)
        for (const one of looked.values()) {
          const limit = (current.get(one.projectId) ?? quotas.defaults).body_bytes_per_check
          if (one.total > limit && !signal.aborted) await trim(one, limit, signal)
          open(one.checkId)
        }
        await closeFull(projectIds, current)
      } catch (error) {
        for (const [id, one] of looked) if (!totals.has(id)) totals.set(id, one)
        throw error
      }
    },
  }
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
