// Writing a batch, and what becomes of it when that fails. A database that is away fails all of it, and that is an outage. A statement that
// fails is none: something in the batch cannot be stored, and is found by halves, tenant by tenant first, so that nobody but its own
// project waits for it. Each half gets little time: whatever hangs must not hold up the rest.

import { isDatabaseAway } from '../core/availability.ts'
import type { Outcome, Received } from './service.ts'

export type Writing = ReturnType<typeof createWriting>

/** An outcome for each entry, or why it alone has none. */
export type Results = Map<string, Outcome | Error>

export type WritingOptions = {
  /** With `again` some may be recorded already; `limitMs` is for each statement. */
  record: (entries: readonly Received[], again: boolean, limitMs?: number) => Promise<ReadonlyMap<string, Outcome>>
  /** The projects of these checks, as far as there are any. */
  projectsOf: (monitorIds: readonly string[]) => Promise<ReadonlyMap<string, string>>
  /** Makes the day partitions of these instants. */
  makePartitions: (instants: number[]) => Promise<void>
}

const attemptsMax = 3
/** Of each statement, while what is to blame is being looked for: live, and out of a spool. */
const limitMs = { hasty: 500, patient: 5000 }
/** Enough to find a dozen culprits among the heartbeats of one project in a batch. */
const failuresMax = 128
/** What has not been found then in the heartbeats of one project is refused with the rest of them; its senders try again. */
const searchMs = 2000

export function createWriting({ record, projectsOf, makePartitions }: WritingOptions) {
  /** Rejects with what is wrong with the batch as a whole. */
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
        // What is there already is asked for by the next attempt.
        if (code === missingPartition) await makePartitions(entries.map(({ at }) => at))
      }
    }
  }

  /** Whoever pings by uuid says no project; where the database cannot say it either, the check stands for it. */
  async function byTenant(entries: readonly Received[]): Promise<Received[][]> {
    const unknown = entries.filter(({ slug, uploader }) => slug === null && uploader === null)
    const asked = projectsOf([...new Set(unknown.map(({ monitorId }) => monitorId))])
    const projects = await asked.catch(() => new Map<string, string>())
    const tenantOf = ({ slug, uploader, monitorId }: Received) =>
      slug?.projectId || uploader?.projectId || (projects.get(monitorId) ?? monitorId)
    // What is wrong with one check is likely to be so with each of its heartbeats: they lie together.
    const byCheck = (some: Received[]) => [...Map.groupBy(some, checkOf).values()].flat()
    return [...Map.groupBy(entries, tenantOf).values()].map(byCheck)
  }

  /** Finds what cannot be stored among tenants of which at least one has some; `isPatient` finds all of it, however long it takes. */
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

const checkOf = ({ monitorId, slug }: Received) => monitorId || slug?.slug

function halvesOf<T>(some: T[]): [T[], T[]] {
  const middle = some.length >> 1
  return [some.slice(0, middle), some.slice(middle)]
}

/** A day that nobody foresaw, as after a long sleep of the machine: "no partition of relation found for row". */
const missingPartition = '23514'
/** "Duplicate key value violates unique constraint": a replay that was cut short is repeated, or another was faster. */
const alreadyThere = '23505'
