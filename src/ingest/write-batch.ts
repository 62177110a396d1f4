// Writes a batch, and finds the heartbeats that cannot be stored. If the database is unavailable the whole batch fails:
// an outage. If only a statement fails, something in the batch cannot be stored, and is found by halving, tenant by
// tenant first, so that only its own project waits for it. Each half gets little time, so that a statement that hangs
// does not delay the rest.

import { isDatabaseAway } from '../kit/availability.ts'
import { addressOf, type Outcome, projectRefOf, type Received } from './signal.ts'

/** For each entry its outcome or its own error. */
export type Results = Map<string, Outcome | Error>

export type BatchWriterOptions = {
  /** With `again` some may be recorded already; `limitMs` is for each statement. */
  record: (entries: readonly Received[], again: boolean, limitMs?: number) => Promise<ReadonlyMap<string, Outcome>>
  /** The projects of these checks, for those that have one. */
  projectsOf: (checkIds: readonly string[]) => Promise<ReadonlyMap<string, string>>
  /** Creates the day partitions of these instants. */
  makePartitions: (instants: number[]) => Promise<void>
}

const attemptsMax = 3
/** The time limit of each statement during the search: live, and from a spool. */
const limitMs = { hasty: 500, patient: 5000 }
/** Enough to find a dozen bad heartbeats of one project in a batch. */
const failuresMax = 128
/**
 * When the search in the heartbeats of one project takes longer, the rest of them are refused; their senders try again.
 */
const searchMs = 2000

export function createBatchWriter({ record, projectsOf, makePartitions }: BatchWriterOptions) {
  /** Rejects with the error of the whole batch. */
  async function attempt(entries: readonly Received[], again: boolean, timeMs?: number): Promise<Results> {
    for (let nth = 1; ; nth++) {
      try {
        const outcomes = await record(entries, again || nth > 1, timeMs)
        return new Map(
          entries.map(({ id }) => [id, outcomes.get(id) ?? new Error('the heartbeat was given no outcome')]),
        )
      } catch (error) {
        const code = (error as { code?: string }).code
        if (nth === attemptsMax || (code !== missingPartition && code !== alreadyThere)) throw error
        // The next attempt looks up which heartbeats are stored already.
        if (code === missingPartition) await makePartitions(entries.map(({ at }) => at))
      }
    }
  }

  /** A heartbeat by uuid names no project; if the database cannot name it either, the check counts as a tenant of its own. */
  async function byTenant(entries: readonly Received[]): Promise<Received[][]> {
    const ids = entries.flatMap(({ target }) => (target.by === 'id' && target.within === null ? [target.checkId] : []))
    const projects = await projectsOf([...new Set(ids)]).catch(() => new Map<string, string>())
    const tenantOf = ({ target }: Received) => {
      const ref = projectRefOf(target)
      if (ref !== null) return 'id' in ref ? ref.id : ref.keyHash
      return projects.get(addressOf(target)) ?? addressOf(target)
    }
    // Heartbeats of one check stay together, because they are likely to fail for the same reason.
    const byCheck = (some: Received[]) => [...Map.groupBy(some, checkOf).values()].flat()
    return [...Map.groupBy(entries, tenantOf).values()].map(byCheck)
  }

  /**
   * Finds the heartbeats that cannot be stored among tenants that failed together; `isPatient` finds all of them,
   * however long it takes.
   */
  async function isolate(tenants: Received[][], error: Error, isPatient: boolean): Promise<Results> {
    const results: Results = new Map()
    const suspects: { entries: Received[]; cause: Error }[] = []

    async function searchTenants(some: Received[][], cause: Error): Promise<void> {
      if (some.length === 1) suspects.push({ entries: some.flat(), cause })
      else for (const half of halvesOf(some)) await attemptOr(half.flat(), (next) => searchTenants(half, next))
    }

    async function searchEntries(
      some: Received[],
      cause: Error,
      budget: { failures: number; until: number },
    ): Promise<void> {
      const isSpent = --budget.failures < 0 || performance.now() > budget.until
      if (some.length === 1 || (!isPatient && isSpent)) for (const { id } of some) results.set(id, cause)
      else for (const half of halvesOf(some)) await attemptOr(half, (next) => searchEntries(half, next, budget))
    }

    async function attemptOr(some: Received[], search: (cause: Error) => Promise<void>): Promise<void> {
      try {
        for (const [id, result] of await attempt(some, true, isPatient ? limitMs.patient : limitMs.hasty))
          results.set(id, result)
      } catch (cause) {
        if (isDatabaseAway(cause)) throw cause
        await search(cause as Error)
      }
    }

    await searchTenants(tenants, error)
    for (const { entries, cause } of suspects)
      await searchEntries(entries, cause, { failures: failuresMax, until: performance.now() + searchMs })
    return results
  }

  return {
    /** Rejects only if the database cannot be reached, or not in time; then part of it may be recorded. */
    async write(
      entries: readonly Received[],
      how: { again: boolean; isPatient: boolean },
    ): Promise<(Outcome | Error)[]> {
      let results: Results
      try {
        results = await attempt(entries, how.again)
      } catch (error) {
        if (isDatabaseAway(error)) throw error
        results = await isolate(await byTenant(entries), error as Error, how.isPatient)
      }
      return entries.map(({ id }) => results.get(id) ?? new Error('the heartbeat was given no result'))
    },
  }
}

const checkOf = ({ target }: Received) => addressOf(target)

function halvesOf<T>(some: T[]): [T[], T[]] {
  const middle = some.length >> 1
  return [some.slice(0, middle), some.slice(middle)]
}

/**
 * A day without a partition, for example after the machine slept for long: "no partition of relation found for row".
 */
const missingPartition = '23514'
/**
 * "Duplicate key value violates unique constraint": an interrupted replay is repeated, or another replica was faster.
 */
const alreadyThere = '23505'
