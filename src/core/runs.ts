// The runs of a check that have started and not ended. A run is named by its rid; all runs without one share a name. `lastStart` is the
// run that is watched for taking too long: the one that started last. `openRuns` are the others, in the order of their starts. Normally
// they only wait for their end, to learn their duration, also after a later run, a failure or a pause has taken them off the watch; where
// every run is to be watched, those that still are say so.

type OpenRun = { rid: string | null; at: number; watched: boolean }

/** Part of a check's state. Instants in epoch milliseconds. */
export type Runs = { lastStart: number | null; lastStartRid: string | null; openRuns: readonly OpenRun[] }

/** A start is looked for so far behind an end, and no further. */
export const pairingMs = 72 * 3_600_000

/** A client that starts runs and never ends them must not make a row grow for ever. */
const watchedMax = 500
const unwatchedMax = 32

/** A second start of the same run replaces the first. */
export function startRun<S extends Runs>(state: S, rid: string | null, at: number, watchEvery: boolean): S {
  const others = latestAside(state, watchEvery).filter((run) => run.rid !== rid)
  return { ...state, lastStart: at, lastStartRid: rid, openRuns: kept(others, at) }
}

export type Ended<S> = { state: S; startedAt: number | null; wasLatest: boolean }

/** Ends the run of this rid that started no later than `until`; `startedAt` is null if there is none. */
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

/** Takes the runs off the watch that started at an instant for which `over` holds; their ends may still come. */
export function unwatch<S extends Runs>(state: S, over: (startedAt: number) => boolean, watchEvery: boolean): S {
  const { lastStart, openRuns } = state
  const latestOver = lastStart !== null && over(lastStart)
  if (!latestOver && !openRuns.some(({ watched, at }) => watched && over(at))) return state
  const aside = latestOver ? latestAside(state, false) : openRuns
  const marked = aside.map((run) => (run.watched && over(run.at) ? { ...run, watched: false } : run))
  return latestOver ? withLatest(state, marked, watchEvery) : { ...state, openRuns: marked }
}

/** When the watched run started that has been under way for longest; null if none is. */
export function earliestStart({ lastStart, openRuns }: Runs, watchEvery: boolean): number | null {
  if (lastStart === null || !watchEvery) return lastStart
  return openRuns.find(({ watched, at }) => watched && at < lastStart)?.at ?? lastStart
}

function latestAside({ lastStart, lastStartRid, openRuns }: Runs, watched: boolean): readonly OpenRun[] {
  return lastStart === null ? openRuns : [...openRuns, { rid: lastStartRid, at: lastStart, watched }]
}

/** The latest of the watched ones takes the first place. */
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
