// The runs of a check that have started and not ended. A run is named by its rid; all runs without a rid share one
// name. `lastStart` is the run that started last, and the one that is watched for taking too long. `openRuns` are the
// others, in the order of their starts. They are kept so that their end gives their duration, even after a later run, a
// failure or a pause has ended the watch. With `track_runs` those of them that are still watched have `watched` set.

type OpenRun = { rid: string | null; at: number; watched: boolean }

/** Part of a check's state. Instants in epoch milliseconds. */
export type Runs = { lastStart: number | null; lastStartRid: string | null; openRuns: readonly OpenRun[] }

/** An end is paired only with a start that is no older than this. */
export const pairingMs = 72 * 3_600_000

/** A client that starts runs and never ends them must not let a row grow without limit. */
const watchedMax = 500
const unwatchedMax = 32

/** A second start of the same run replaces the first. */
export function startRun<S extends Runs>(state: S, rid: string | null, at: number, watchEvery: boolean): S {
  const others = latestAside(state, watchEvery).filter((run) => run.rid !== rid)
  return { ...state, lastStart: at, lastStartRid: rid, openRuns: kept(others, at) }
}

export type Ended<S> = { state: S; startedAt: number | null; wasLatest: boolean }

/** Ends the run of this rid that started no later than `until`; `startedAt` is null if there is no such run. */
export function endRun<S extends Runs>(state: S, rid: string | null, until: number, watchEvery: boolean): Ended<S> {
  const { lastStart, lastStartRid, openRuns } = state
  if (lastStart !== null && lastStart <= until && lastStartRid === rid) {
    return { state: withLatest(state, openRuns, watchEvery), startedAt: lastStart, wasLatest: true }
  }
  const run = openRuns.findLast((open) => open.rid === rid && open.at <= until)
  if (run === undefined) return { state, startedAt: null, wasLatest: false }
  const others = openRuns.filter((open) => open !== run)
  return { state: { ...state, openRuns: others }, startedAt: run.at, wasLatest: false }
}

/** Stops the watch of the runs that started at an instant for which `over` holds; their ends may still come. */
export function unwatch<S extends Runs>(state: S, over: (startedAt: number) => boolean, watchEvery: boolean): S {
  const { lastStart, openRuns } = state
  const latestOver = lastStart !== null && over(lastStart)
  if (!latestOver && !openRuns.some(({ watched, at }) => watched && over(at))) return state
  const aside = latestOver ? latestAside(state, false) : openRuns
  const marked = aside.map((run) => (run.watched && over(run.at) ? { ...run, watched: false } : run))
  return latestOver ? withLatest(state, marked, watchEvery) : { ...state, openRuns: marked }
}

/** The start of the watched run that has been open for the longest time; null if none is open. */
export function earliestStart({ lastStart, openRuns }: Runs, watchEvery: boolean): number | null {
  if (lastStart === null || !watchEvery) return lastStart
  return openRuns.find(({ watched, at }) => watched && at < lastStart)?.at ?? lastStart
}

function latestAside({ lastStart, lastStartRid, openRuns }: Runs, watched: boolean): readonly OpenRun[] {
  return lastStart === null ? openRuns : [...openRuns, { rid: lastStartRid, at: lastStart, watched }]
}

/** Makes the latest of the watched runs the first. */
function withLatest<S extends Runs>(state: S, runs: readonly OpenRun[], watchEvery: boolean): S {
  const next = watchEvery ? runs.findLast(({ watched }) => watched) : undefined
  if (next === undefined) return { ...state, lastStart: null, lastStartRid: null, openRuns: runs }
  const openRuns = runs.filter((run) => run !== next)
  return { ...state, lastStart: next.at, lastStartRid: next.rid, openRuns }
}

function kept(runs: readonly OpenRun[], now: number): readonly OpenRun[] {
  if (runs.length === 0) return runs
  const pairable = runs.filter(({ watched, at }) => watched || now - at <= pairingMs)
  const unwatched = pairable.filter(({ watched }) => !watched)
  const surplus = new Set(unwatched.slice(0, Math.max(0, unwatched.length - unwatchedMax)))
  const rest = pairable.filter((run) => !surplus.has(run))
  return rest.slice(Math.max(0, rest.length - watchedMax - unwatchedMax))
}
