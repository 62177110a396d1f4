// All circuit breakers of this process, created on first use. Each replica has its own, which knows only the calls of
// that replica.

import {
  admit,
  admitForced,
  type BreakerPhase,
  type BreakerPolicy,
  type BreakerState,
  closedBreaker,
  nextAttemptAt,
  onFailure,
  onRelease,
  onSuccess,
  reset,
  stateAt,
} from '../core/alerting/breaker.ts'
import { AppError } from '../core/errors.ts'
import { failureReason } from '../core/failure-reason.ts'
import { isoMillis } from '../kit/instant.ts'

export type BreakerSettings = BreakerPolicy & { requestTimeoutMs: number }

/** A call that was admitted. Its first report counts, and one must be made: `release` says that there is no result. */
export type BreakerCall = {
  succeed(): void
  /** `reason` is a short word without names of hosts or people. */
  fail(reason: string): void
  release(): void
}

export type Breaker = {
  readonly name: string
  readonly kind: string
  readonly settings: BreakerSettings
  phase(): BreakerPhase
  /** Whether `begin` would admit a call now. */
  admits(): boolean
  /** When an open breaker admits a call again, in epoch milliseconds; null unless it is open. */
  retryAt(): number | null
  /** Null if the call must not be made. */
  begin(): BreakerCall | null
  /** Admits a call in any phase; its result counts. */
  beginAnyway(): BreakerCall
  /**
   * Rejects with BreakerOpenError without calling `work`, or with the error of `work`. An error for which `isFailure` is
   * false counts as a success of the destination.
   */
  run<T>(work: () => Promise<T>, isFailure: (error: unknown) => boolean): Promise<T>
}

/** Instants are ISO 8601. */
export type BreakerDocument = {
  name: string
  kind: string
  state: BreakerPhase
  failures: number
  successes: number
  openedAt: string | null
  nextAttemptAt: string | null
  lastError: string | null
  thresholds: BreakerSettings
}

export type BreakerChange = { name: string; kind: string; from: BreakerPhase; to: BreakerPhase; reason: string }

/** `breaker` is its name, by which kit/availability.ts recognises the error. */
export class BreakerOpenError extends AppError {
  override name = 'BreakerOpenError'
  readonly breaker: string

  constructor(breaker: string) {
    super('unavailable', 'the circuit breaker is open, try again shortly', { retryAfterS: 1 })
    this.breaker = breaker
  }
}

type BreakerEntry = { breaker: Breaker; usedAt: number; underWay: number; document(): BreakerDocument; reset(): void }

export type CircuitBreakersOptions = {
  settingsOf: (kind: string, name: string) => BreakerSettings
  /** Milliseconds on a clock that never goes back, and epoch milliseconds. */
  monotonic: () => number
  wall: () => number
  onChange: (change: BreakerChange) => void
  onMade?: (kind: string) => void
  count: (kind: string, outcome: 'success' | 'failure' | 'rejected') => void
  breakersMax?: number
}

export type CircuitBreakers = ReturnType<typeof createCircuitBreakers>

/** Longer than the pauses between the retries of anything that is still to be sent. */
const forgetAfterMs = 86_400_000

export function createCircuitBreakers(options: CircuitBreakersOptions) {
  const { settingsOf, monotonic, breakersMax = 10_000 } = options
  const entries = new Map<string, BreakerEntry>()
  const closedListeners: ((name: string) => void)[] = []

  function announce(change: BreakerChange): void {
    options.onChange(change)
    if (change.to === 'closed') for (const listener of closedListeners) listener(change.name)
  }

  function make(name: string, kind: string): BreakerEntry {
    if (entries.size >= breakersMax) dropOne()
    const entry = createEntry({ ...options, name, kind, settings: settingsOf(kind, name), onChange: announce, use })
    entries.set(name, entry)
    options.onMade?.(kind)
    return entry
  }

  /** A caller that holds a dropped breaker restores it by using it. */
  function use(entry: BreakerEntry): void {
    entry.usedAt = monotonic()
    if (!entries.has(entry.breaker.name)) entries.set(entry.breaker.name, entry)
  }

  /** The breaker that has been unused for longest; closed and idle ones come first. */
  function dropOne(): void {
    const rank = ({ breaker, underWay }: BreakerEntry) => Number(underWay > 0) + Number(breaker.phase() !== 'closed')
    const before = (a: BreakerEntry, b: BreakerEntry) => rank(a) - rank(b) || a.usedAt - b.usedAt
    let first: BreakerEntry | undefined
    for (const entry of entries.values()) if (first === undefined || before(entry, first) < 0) first = entry
    if (first) entries.delete(first.breaker.name)
  }

  /** If the destination is gone, nobody would ever close the breaker. */
  function current(): BreakerEntry[] {
    const since = monotonic() - forgetAfterMs
    for (const [name, { usedAt, underWay }] of entries) if (usedAt < since && underWay === 0) entries.delete(name)
    return [...entries.values()]
  }

  return {
    /** Created on first use. */
    get: (name: string, kind: string): Breaker => (entries.get(name) ?? make(name, kind)).breaker,

    /** Drops the breaker of a destination that is gone or was replaced. */
    forget(name: string): void {
      entries.delete(name)
    },

    list: (): BreakerDocument[] =>
      current()
        .map((entry) => entry.document())
        .sort((a, b) => (a.name < b.name ? -1 : 1)),

    states: (): { kind: string; state: BreakerPhase }[] =>
      current().map(({ breaker }) => ({ kind: breaker.kind, state: breaker.phase() })),

    /** Closes it and resets its counters; returns the documents before and after, null if there is no such breaker. */
    reset(name: string): { before: BreakerDocument; after: BreakerDocument } | null {
      const entry = entries.get(name)
      if (entry === undefined) return null
      const before = entry.document()
      entry.reset()
      return { before, after: entry.document() }
    },

    /** Calls back with the name of each breaker that closes or is reset, so that waiting work continues. */
    onClosed(listener: (name: string) => void): void {
      closedListeners.push(listener)
    },
  }
}

type EntryOptions = CircuitBreakersOptions & {
  name: string
  kind: string
  settings: BreakerSettings
  use: (entry: BreakerEntry) => void
}

function createEntry(options: EntryOptions): BreakerEntry {
  const { name, kind, settings, monotonic, wall, onChange, count } = options
  let state: BreakerState = closedBreaker
  let lastError: string | null = null

  function move(next: BreakerState, reason: string): void {
    const from = state.phase
    state = next
    if (from !== next.phase) onChange({ name, kind, from, to: next.phase, reason })
  }

  function begun(): BreakerCall {
    const { epoch } = state
    let isOver = false
    entry.underWay++
    const end = (report: () => void) => {
      if (isOver) return
      isOver = true
      entry.underWay--
      report()
    }
    return {
      succeed: () =>
        end(() => {
          count(kind, 'success')
          move(onSuccess(settings, state, epoch), 'successes')
        }),
      fail: (reason) =>
        end(() => {
          count(kind, 'failure')
          lastError = reason
          move(onFailure(settings, state, epoch, monotonic()), reason)
        }),
      release: () => end(() => move(onRelease(state, epoch), 'released')),
    }
  }

  function begin(): BreakerCall | null {
    options.use(entry)
    const admission = admit(settings, state, monotonic())
    if (!admission.admitted) {
      count(kind, 'rejected')
      return null
    }
    move(admission.state, 'recovery time over')
    return begun()
  }

  const toWall = (at: number) => Math.round(wall() - monotonic() + at)

  const breaker: Breaker = {
    name,
    kind,
    settings,
    phase: () => stateAt(settings, state, monotonic()),
    admits: () => admit(settings, state, monotonic()).admitted,
    retryAt: () => (breaker.phase() === 'open' ? toWall(nextAttemptAt(settings, state)) : null),
    begin,
    beginAnyway() {
      options.use(entry)
      move(admitForced(state, monotonic()), 'tried by hand')
      return begun()
    },
    async run(work, isFailure) {
      const call = begin()
      if (call === null) throw new BreakerOpenError(name)
      try {
        const result = await work()
        call.succeed()
        return result
      } catch (error) {
        if (isFailure(error)) call.fail(failureReason(error))
        else call.succeed()
        throw error
      }
    },
  }

  const entry: BreakerEntry = {
    breaker,
    usedAt: monotonic(),
    underWay: 0,
    document() {
      const phase = breaker.phase()
      const retryAt = breaker.retryAt()
      return {
        name,
        kind,
        state: phase,
        failures: state.failures,
        successes: state.successes,
        openedAt: state.openedAt === null ? null : isoMillis(toWall(state.openedAt)),
        nextAttemptAt: retryAt === null ? null : isoMillis(retryAt),
        lastError,
        thresholds: settings,
      }
    },
    reset() {
      lastError = null
      move(reset(state), 'reset')
    },
  }
  return entry
}
